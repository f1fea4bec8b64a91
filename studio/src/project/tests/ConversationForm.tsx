import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { cx } from "../../ui/cx";
import { Button, IconButton } from "../../ui/Button";
import { Select, TextArea, TextField } from "../../ui/Field";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { moved } from "../policy/form";
import { type Conversation, type Tests, useSaveConversation } from "./queries";
import layout from "../../ui/Layout.module.css";
import styles from "./Tests.module.css";
import { draftOf, emptyTurn, OUTCOMES, type TurnDraft, turnOf } from "./turns";

/** A conversation, turn by turn: what the customer says, and what is wanted of the answer. */
export function ConversationForm({ project, tests, one, onClose }: { project: string; tests: Tests; one: Conversation | null; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const save = useSaveConversation(project);
  const [turns, setTurns] = useState<TurnDraft[]>(() => (one ? one.turns.map(draftOf) : [emptyTurn()]));
  const [tried, setTried] = useState(false);
  const change = (place: number, part: Partial<TurnDraft>) => setTurns(turns.map((turn, number) => (number === place ? { ...turn, ...part } : turn)));
  const whole = turns.length > 0 && turns.every((turn) => turn.say.trim()) && turns.some((turn) => turn.outcome);
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={one ? t("tests.number", { number: one.line }) : t("tests.add")}
      about={t("tests.formAbout")}
      foot={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button
            kind="primary"
            busy={save.isPending}
            onClick={() => {
              setTried(true);
              if (whole) save.mutate({ line: one?.line ?? 0, turns: turns.map(turnOf), stamp: tests.stamp }, { onSuccess: onClose });
            }}
          >
            {t("common.save")}
          </Button>
        </>
      }
    >
      <div className={layout.stack}>
        {turns.map((turn, place) => (
          <Turn key={place} place={place} turn={turn} tried={tried} documents={tests.documents} last={place === turns.length - 1} alone={turns.length === 1} onChange={(part) => change(place, part)} onMove={(to) => setTurns(moved(turns, place, to))} onRemove={() => setTurns(turns.filter((_, number) => number !== place))} />
        ))}
        <div>
          <Button small icon="plus" onClick={() => setTurns([...turns, emptyTurn()])}>
            {t("tests.addTurn")}
          </Button>
        </div>
        <Problem query={{ error: save.error }} />
      </div>
    </Dialog>
  );
}

interface TurnProps {
  place: number;
  turn: TurnDraft;
  tried: boolean;
  documents: readonly string[];
  last: boolean;
  alone: boolean;
  onChange: (part: Partial<TurnDraft>) => void;
  onMove: (to: number) => void;
  onRemove: () => void;
}

function Turn({ place, turn, tried, documents, last, alone, onChange, onMove, onRemove }: TurnProps): ReactNode {
  const { t } = useTranslation();
  const number = place + 1;
  const lines = (text: string) => text.split("\n");
  return (
    <div className={layout.boxed} role="group" aria-label={t("tests.turn", { number })}>
      <header>
        <strong>{t("tests.turn", { number })}</strong>
        <IconButton icon="up" small label={t("tests.turnUp", { number })} disabled={place === 0} onClick={() => onMove(place - 1)} />
        <IconButton icon="down" small label={t("tests.turnDown", { number })} disabled={last} onClick={() => onMove(place + 1)} />
        <IconButton icon="trash" small label={t("tests.removeTurn", { number })} disabled={alone} onClick={onRemove} />
      </header>
      <div className={cx(layout.fields, styles.fields)}>
        <TextArea label={t("tests.says")} rows={2} maxLength={4000} error={tried && !turn.say.trim() ? t("tests.saysNothing") : undefined} value={turn.say} onChange={(event) => onChange({ say: event.target.value })} />
        <Select label={t("tests.outcomeLabel")} help={turn.outcome ? t(`tests.outcomeHelp.${turn.outcome}`) : undefined} value={turn.outcome} options={[{ value: "", label: t("tests.onlySaid") }, ...OUTCOMES.map((one) => ({ value: one, label: t(`tests.outcome.${one}`) }))]} onChange={(event) => onChange({ outcome: event.target.value })} />
      </div>
      {turn.outcome && (
        <div className={cx(layout.fields, styles.fields)}>
          <TextArea label={t("tests.containsLabel")} help={t("tests.perLine")} rows={2} value={turn.contains.join("\n")} onChange={(event) => onChange({ contains: lines(event.target.value) })} />
          <TextArea label={t("tests.notContainsLabel")} help={t("tests.perLine")} rows={2} value={turn.notContains.join("\n")} onChange={(event) => onChange({ notContains: lines(event.target.value) })} />
          <TextField label={t("tests.document")} list={`documents-${place}`} maxLength={300} value={turn.document} onChange={(event) => onChange({ document: event.target.value })} />
          <datalist id={`documents-${place}`}>
            {documents.map((one) => (
              <option key={one} value={one} />
            ))}
          </datalist>
          <TextField label={t("tests.tool")} maxLength={100} value={turn.tool} onChange={(event) => onChange({ tool: event.target.value })} />
        </div>
      )}
    </div>
  );
}
