import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { type Run, useAnswerForm, useMay, useProject, useStartRun } from "../../api/queries";
import { formatDuration } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge, Notice, Skeleton } from "../../ui/Feedback";
import { Problem } from "../../ui/Problem";
import { Disclosure, SchemaForm } from "../../ui/SchemaForm";
import { settingHelp } from "../../ui/settings";
import styles from "./Build.module.css";
import { usePresets } from "../canvas/queries";
import { lastTime, withPreset } from "./presets";
import { type BuildSettings, errorsOf, type Mistake, useCheckSettings, useSections, withSetting } from "./queries";

const PRESETS = ["fast", "balanced", "best"] as const;
export type Preset = (typeof PRESETS)[number];

/** The sections in the order in which people look for them; others follow. */
const ORDER = ["student", "gate", "compress", "train"];
const HIDDEN: Readonly<Record<string, readonly string[]>> = { student: ["quality"] };

/** Start a build: by a preset, and by settings for who wants more. */
export function NewBuild({ project, runs }: { project: string; runs: readonly Run[] }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("build");
  const start = useStartRun(project);
  const check = useCheckSettings(project);
  const presets = usePresets(project);
  const shape = useAnswerForm(project).data?.shape;
  const desk = useProject(project).data?.converses ?? false;
  const known = desk ? "desk" : shape === "label" || shape === "text" || shape === "fields" ? shape : "other";
  const [preset, setPreset] = useState<Preset>("balanced");
  const [settings, setSettings] = useState<BuildSettings>({});
  const [open, setOpen] = useState(false);
  const [mistakes, setMistakes] = useState<readonly Mistake[]>([]);
  const times = Object.fromEntries(PRESETS.map((name) => [name, lastTime(runs, name)])) as Record<Preset, number | null>;
  const changed = Object.values(settings).reduce((sum, section) => sum + Object.keys(section).length, 0);

  function submit(): void {
    const chosen = (presets.data?.find((found) => found.name === preset)?.settings ?? {}) as BuildSettings;
    const recipe = withPreset({ ...chosen, student: { ...chosen["student"], quality: preset } }, settings);
    check.mutate(recipe, {
      onSuccess: (found) => {
        setMistakes(found);
        if (found.length > 0) setOpen(true);
        else start.mutate({ kind: "build", request: { recipe, preset, own: settings } }, { onSuccess: () => window.scrollTo({ top: 0 }) });
      },
    });
  }

  return (
    <Card title={t("build.new")}>
      <div className={styles.presets} role="radiogroup" aria-label={t("build.preset")}>
        {PRESETS.map((name) => (
          <label key={name} className={styles.preset}>
            <input type="radio" name="preset" checked={name === preset} onChange={() => setPreset(name)} />
            <strong>{t(`build.${name}.title`)}</strong>
            <span>{t(`build.${name}.about`)}</span>
            <span>{times[name] === null ? t(`build.${name}.time.${known}`) : t("build.lastTime", { time: formatDuration(times[name]) })}</span>
          </label>
        ))}
      </div>
      <Disclosure title={t("build.settings")} note={changed > 0 && <Badge tone="accent">{t("build.changed", { count: changed })}</Badge>} about={t("build.settingsAbout")} open={open} onToggle={setOpen}>
        <Sections project={project} settings={settings} mistakes={mistakes} onChange={setSettings} />
      </Disclosure>
      <div className={styles.start}>
        <Button kind="primary" icon="build" disabled={!may} title={may ? undefined : t("build.mayNot")} busy={start.isPending || check.isPending} onClick={submit}>
          {t("build.start")}
        </Button>
        {changed > 0 && (
          <Button
            kind="quiet"
            onClick={() => {
              setSettings({});
              setMistakes([]);
            }}
          >
            {t("build.reset")}
          </Button>
        )}
      </div>
      {mistakes.length > 0 && <Notice tone="bad">{t("build.mistakes", { count: mistakes.length })}</Notice>}
      <Problem query={{ error: check.error ?? start.error }} />
    </Card>
  );
}

function Sections({ project, settings, mistakes, onChange }: { project: string; settings: BuildSettings; mistakes: readonly Mistake[]; onChange: (settings: BuildSettings) => void }): ReactNode {
  const { t } = useTranslation();
  const kind = settings["student"]?.["kind"];
  const sections = useSections(project, typeof kind === "string" && kind !== "auto" ? kind : undefined, true);
  const [opened, setOpened] = useState<Readonly<Record<string, boolean>>>({ student: true });
  if (sections.error) return <Problem query={sections} />;
  if (!sections.data) return <Skeleton label={t("common.loading")} lines={3} />;
  const known = new Set(sections.data.map((section) => section.name));
  const rank = (name: string) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  const sorted = [...sections.data].sort((one, other) => rank(one.name) - rank(other.name));
  const elsewhere = mistakes.filter(({ place }) => ![...known].some((name) => place.startsWith(`${name}.`)));
  return (
    <div className={styles.sections}>
      {elsewhere.map((mistake) => (
        <Notice key={mistake.place + mistake.message} tone="bad">
          {mistake.place} {told(mistake.message)}
        </Notice>
      ))}
      {sorted.map((section) => {
        const errors = errorsOf(mistakes, section.name);
        const wrong = Object.keys(errors).length;
        const given = settings[section.name] ?? {};
        const changed = Object.keys(given).length;
        const note = wrong > 0 ? <Badge tone="bad">{t("build.wrong", { count: wrong })}</Badge> : changed > 0 && <Badge tone="accent">{t("build.changed", { count: changed })}</Badge>;
        return (
          <Disclosure
            key={section.name}
            title={t(`build.section.${section.name.replace(".", "_")}`, { defaultValue: t("build.section.task") })}
            about={settingHelp(section.about)}
            note={note}
            open={opened[section.name] ?? wrong > 0}
            onToggle={(open) => setOpened((before) => ({ ...before, [section.name]: open }))}
          >
            <SchemaForm section={section.name} schema={section.schema} value={given} errors={errors} hide={HIDDEN[section.name] ?? []} onChange={(name, value) => onChange(withSetting(settings, section.name, name, value))} />
          </Disclosure>
        );
      })}
    </div>
  );
}
