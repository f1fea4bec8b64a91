import { useMutation } from "@tanstack/react-query";
import { type ReactNode, type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { formatNumber, formatShare } from "../../i18n";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Choice } from "../../ui/Choice";
import { TextArea } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import { ExplainError, FindBug, WriteTests } from "./CodeHelp";
import { type Answer, answerTexts } from "./queries";
import modes from "./Try.module.css";
import styles from "./TryCode.module.css";

const MODES = ["gap", "explain", "tests", "bug"] as const;
type Mode = (typeof MODES)[number];

/** Try a model that completes code: fill a gap, and get help with the project's own code. */
export function TryCode({ project, model }: { project: string; model: string }): ReactNode {
  const { t } = useTranslation();
  const [search, setSearch] = useSearchParams();
  const mode = MODES.find((known) => known === search.get("mode")) ?? "gap";
  const choose = (next: Mode) => setSearch((before) => new URLSearchParams({ ...Object.fromEntries(before), mode: next }), { replace: true });
  return (
    <>
      <div className={modes.modes}>
        <Choice label={t("try.mode")} value={mode} options={MODES.map((value) => ({ value, label: t(`tryCode.modes.${value}`) }))} onChange={choose} />
      </div>
      {mode === "gap" && <FillGap project={project} model={model} />}
      {mode === "explain" && <ExplainError project={project} />}
      {mode === "tests" && <WriteTests project={project} model={model} />}
      {mode === "bug" && <FindBug project={project} model={model} />}
    </>
  );
}

/** The code ahead of the cursor and behind it, and what the model puts between them. */
function FillGap({ project, model }: { project: string; model: string }): ReactNode {
  const { t } = useTranslation();
  const [ahead, setAhead] = useState("");
  const [behind, setBehind] = useState("");
  const ask = useMutation({ mutationFn: async (wanted: { ahead: string; behind: string }) => ({ ...wanted, answer: (await answerTexts(project, model, [{ text: wanted.ahead, second: wanted.behind }]))[0] as Answer }) });
  function submit(event: SubmitEvent): void {
    event.preventDefault();
    if (ahead) ask.mutate({ ahead, behind });
  }
  return (
    <Card title={t("tryFiles.gap.title")}>
      <form onSubmit={submit} className={styles.form}>
        <TextArea rows={8} spellCheck={false} label={t("tryFiles.gap.ahead")} placeholder={"def total(prices):\n    "} value={ahead} maxLength={20_000} onChange={(event) => setAhead(event.target.value)} />
        <TextArea rows={4} spellCheck={false} label={t("tryFiles.gap.behind")} value={behind} maxLength={20_000} onChange={(event) => setBehind(event.target.value)} />
        <Button kind="primary" type="submit" busy={ask.isPending} disabled={!ahead.trim()}>
          {t("tryFiles.gap.go")}
        </Button>
      </form>
      <Problem query={{ error: ask.error }} />
      <div aria-live="polite">
        {ask.data && (
          <>
            <pre className={styles.result}>
              {ask.data.ahead}
              <mark>{ask.data.answer.text}</mark>
              {ask.data.behind}
            </pre>
            <p className={styles.soft}>
              {t("tryFiles.score")} {formatShare(ask.data.answer.score)} · {t("tryFiles.gap.took", { seconds: formatNumber(ask.data.answer.seconds, { maximumFractionDigits: 2 }) })}
            </p>
          </>
        )}
      </div>
    </Card>
  );
}
