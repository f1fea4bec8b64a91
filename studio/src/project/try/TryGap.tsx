import { useMutation } from "@tanstack/react-query";
import { type ReactNode, type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { formatNumber, formatShare } from "../../i18n";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { TextArea } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import { type Answer, answerTexts } from "./queries";
import styles from "./TryGap.module.css";

/** Try a model that completes code: the code ahead of the cursor and behind it, and what it puts between them. */
export function TryGap({ project, model }: { project: string; model: string }): ReactNode {
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
