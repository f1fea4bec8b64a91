import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { useModels } from "../../api/models";
import { AnswerEditor } from "../../ui/answer/AnswerEditor";
import { type AnswerForm, entriesOf, isFields, newField, spansOf } from "../../ui/answer/answers";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge, Skeleton } from "../../ui/Feedback";
import { answerTexts } from "../try/queries";
import styles from "./Label.module.css";
import type { Labelling } from "./queries";
import { SaveState } from "./SaveState";
import type { AnswerEntry } from "./session";

interface Props {
  project: string;
  labelling: Labelling;
  form: AnswerForm;
  mayEdit: boolean;
}

/** One row to fill in: fields, marked words, several labels or a text. What the newest model finds stands in the form already. */
export function ByForm({ project, labelling, form, mayEdit }: Props): ReactNode {
  const { t } = useTranslation();
  const { session, move } = labelling;
  const models = useModels(project);
  const model = models?.[0]?.id;
  const row = session.current?.row;
  const found = useQuery({
    enabled: model !== undefined && row !== undefined && row.output === null,
    queryKey: ["suggested", project, model, row?.key],
    queryFn: async () => (await answerTexts(project, model ?? "", [{ text: row?.input ?? "", second: row?.second ?? null }]))[0]?.output ?? null,
    staleTime: Infinity,
    retry: false,
  });
  const [known] = useState(() => extended(form, session.pending));
  if (!row) return null;
  if (models === undefined || (model !== undefined && found.isLoading)) {
    return (
      <Card>
        <Skeleton lines={6} label={t("label.asking")} />
      </Card>
    );
  }
  const suggested = row.output === null ? (found.data ?? null) : row.output;
  const bare = form.shape === "labels" || form.shape === "text" || form.shape === "value";
  return (
    <>
      <Card>
        <div className={styles.row}>
          {suggested !== null && row.output === null && <Badge tone="accent">{t("label.suggestedByModel")}</Badge>}
          {bare && <p className={styles.text}>{row.input}</p>}
          {bare && row.second && <p className={styles.text}>{row.second}</p>}
          <AnswerEditor
            form={known}
            text={row.input}
            second={row.second}
            start={suggested}
            disabled={!mayEdit}
            save={(output) => move({ kind: "answer", output })}
            saveLabel={t("label.saveNext")}
            more={
              <>
                <Button kind="quiet" icon="right" onClick={() => move({ kind: "skip" })}>
                  {t("label.skip")}
                </Button>
                <Button kind="quiet" icon="undo" disabled={!session.past.length} onClick={() => move({ kind: "undo" })}>
                  {t("label.undo")}
                </Button>
              </>
            }
          />
        </div>
      </Card>
      <div className={styles.foot}>
        <SaveState session={session} />
      </div>
    </>
  );
}

/** The form with what answers that are not saved yet add to it: fields and kinds that somebody has just named. */
function extended(form: AnswerForm, pending: readonly AnswerEntry[]): AnswerForm {
  const paths = new Set(form.fields.map((field) => field.path));
  const kinds = new Set(form.names.map((known) => known.name));
  const outputs = pending.map((entry) => entry.output);
  const fields = outputs.flatMap((output) => (isFields(output) ? entriesOf(output) : [])).flatMap(([path, value]) => (paths.has(path) ? [] : (paths.add(path), [newField(path, value)])));
  const labels = outputs.flatMap((output) => (Array.isArray(output) ? output.filter((one) => typeof one === "string") : []));
  const names = [...spansOf(outputs.flat()).map((span) => span.label), ...labels].flatMap((name) => (kinds.has(name) ? [] : (kinds.add(name), [{ name, rows: 1 }])));
  const shape = form.read === 0 && names.length > 0 && form.shape === "fields" ? "spans" : form.shape;
  return { ...form, shape, fields: [...form.fields, ...fields], names: [...form.names, ...names], read: form.read + pending.length };
}
