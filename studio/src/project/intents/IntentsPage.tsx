import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { useMay } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { Button, ButtonLink, IconButton } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Badge, Empty, Notice, Skeleton } from "../../ui/Feedback";
import { Search, Select, TextArea, TextField } from "../../ui/Field";
import layout from "../../ui/Layout.module.css";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import { sayable, stepsToChoose } from "../policy/form";
import { usePolicy } from "../policy/queries";
import { useStepWords } from "../policy/RulesCard";
import { ENOUGH, examplesIn, LEAST } from "./examples";
import { type MessageKind, type MessageKinds, useDeleteIntent, useIntents, useSaveIntent } from "./queries";

/** The name by which the build knows the kind of messages that are none of the others. */
const OUTSIDE = "out_of_scope";
const SEARCHED = 8;
const SHOWN_EXAMPLES = 3;

/** The kinds of message that a desk tells apart: each with a name, examples, and what the policy does with it. */
export function IntentsPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const may = useMay("edit");
  const found = useIntents(project);
  const [open, setOpen] = useState<MessageKind | "new" | "outside" | null>(null);
  const [search, setSearch] = useState("");
  const kinds = found.data?.kinds ?? [];
  const shown = kinds.filter((kind) => [kind.name, ...kind.examples].some((words) => words.toLowerCase().includes(search.trim().toLowerCase())));
  const add = may && found.data && (
    <Button kind="primary" icon="plus" onClick={() => setOpen("new")}>
      {t("intents.add")}
    </Button>
  );
  return (
    <>
      <PageTitle title={t("nav.intents")} about={t("intents.about")} actions={kinds.length > 0 && add} />
      <Problem query={found} />
      {!found.data && !found.error && <Skeleton label={t("common.loading")} />}
      {found.data && kinds.length === 0 && (
        <Empty icon="label" title={t("intents.none")} actions={add}>
          {t("intents.noneAbout")}
        </Empty>
      )}
      {kinds.length > 0 && (
        <div className={layout.stack}>
          {found.data && kinds.length < found.data.least_kinds && <Notice tone="warn">{t("intents.oneMore")}</Notice>}
          {found.data && kinds.length >= found.data.least_kinds && !kinds.some((kind) => kind.outside) && (
            <Notice action={may && <Button small onClick={() => setOpen("outside")}>{t("intents.addOutside")}</Button>}>{t("intents.noOutside")}</Notice>
          )}
          {kinds.length > SEARCHED && <Search label={t("intents.search")} value={search} onChange={(event) => setSearch(event.target.value)} />}
          <Card
            title={t("intents.count", { count: kinds.length })}
            note={t("intents.inAll", { shown: formatNumber(kinds.reduce((sum, kind) => sum + kind.examples.length, 0)) })}
            actions={
              <ButtonLink small to={`/projects/${project}/policy`}>
                {t("nav.policy")}
              </ButtonLink>
            }
          >
            <ul className={layout.lines}>
              {shown.map((kind) => (
                <Line key={kind.name} kind={kind} onOpen={may ? () => setOpen(kind) : undefined} />
              ))}
            </ul>
            {shown.length === 0 && <p className={layout.soft}>{t("intents.noneFound")}</p>}
          </Card>
        </div>
      )}
      {found.data && open && <EditKind key={typeof open === "string" ? open : open.name} project={project} kinds={found.data} kind={typeof open === "string" ? null : open} named={open === "outside" ? OUTSIDE : ""} onClose={() => setOpen(null)} />}
    </>
  );
}

function Line({ kind, onOpen }: { kind: MessageKind; onOpen: (() => void) | undefined }): ReactNode {
  const { t } = useTranslation();
  const words = useStepWords();
  const count = kind.examples.length;
  return (
    <li>
      <div>
        <span className={layout.row}>
          <strong>{kind.outside ? t("intents.outside") : kind.name}</strong>
          <Badge tone={count < ENOUGH ? "warn" : "plain"}>{t(count < ENOUGH ? "intents.few" : "intents.examples", { count, shown: formatNumber(count) })}</Badge>
        </span>
        {!kind.outside && <p>{kind.steps.map(words).join(t("intents.else"))}</p>}
        <p className={cx(layout.soft, layout.short)}>{kind.examples.slice(0, SHOWN_EXAMPLES).map((example) => t("intents.quoted", { example })).join(" · ")}</p>
      </div>
      {onOpen && <IconButton icon="pencil" small label={t("intents.edit", { name: kind.name })} onClick={onOpen} />}
    </li>
  );
}

/** The form of a kind. What happens with it is a line of the policy, which is written along with it. */
function EditKind({ project, kinds, kind, named, onClose }: { project: string; kinds: MessageKinds; kind: MessageKind | null; named: string; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const words = useStepWords();
  const policy = usePolicy(project);
  const save = useSaveIntent(project);
  const remove = useDeleteIntent(project);
  const [name, setName] = useState(kind?.name ?? named);
  const [text, setText] = useState(kind?.examples.join("\n") ?? "");
  const [step, setStep] = useState("");
  const [sure, setSure] = useState(false);
  const examples = examplesIn(text);
  const texts = sayable((policy.data?.form?.["texts"] ?? {}) as Record<string, unknown>, policy.data?.texts ?? {});
  const now = kind ? t("intents.asNow", { steps: kind.steps.map(words).join(t("intents.else")) }) : t("intents.asOthers");
  const options = [{ value: "", label: now }, ...stepsToChoose(policy.data?.tools ?? [], texts).map((one) => ({ value: one, label: words(one) }))];
  const busy = save.isPending || remove.isPending;
  return (
    <Dialog open onClose={onClose} title={t(kind ? "intents.editTitle" : "intents.add")} about={t("intents.editAbout")}>
      <TextField label={t("intents.name")} help={t("intents.nameHelp")} maxLength={100} value={name} placeholder={t("intents.nameExample")} onChange={(event) => setName(event.target.value)} />
      <TextArea label={t("intents.examplesLabel")} help={t("intents.examplesHelp", { count: examples.length, enough: ENOUGH })} rows={10} placeholder={t("intents.examplesExample")} value={text} onChange={(event) => setText(event.target.value)} />
      {!kind?.outside && named !== OUTSIDE && policy.data && <Select label={t("intents.step")} help={t("intents.stepHelp")} value={step} options={options} onChange={(event) => setStep(event.target.value)} />}
      <Problem query={{ error: save.error ?? remove.error }} />
      <div className={layout.apart}>
        <Button kind="primary" busy={save.isPending} disabled={busy || !name.trim() || examples.length < LEAST} onClick={() => save.mutate({ before: kind?.name ?? "", name, examples, step, stamp: kinds.stamp }, { onSuccess: onClose })}>
          {t("common.save")}
        </Button>
        {kind && (
          <Button kind="danger" icon="trash" busy={remove.isPending} disabled={busy} onClick={() => (sure ? remove.mutate({ name: kind.name, stamp: kinds.stamp }, { onSuccess: onClose }) : setSure(true))}>
            {t(sure ? "intents.deleteSure" : "common.delete", { count: kind.examples.length })}
          </Button>
        )}
      </div>
    </Dialog>
  );
}
