import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { api, body } from "../../api/client";
import { useDataChange, useMay, type Version } from "../../api/queries";
import type { components } from "../../api/schema";
import { formatNumber } from "../../i18n";
import { Button, ButtonLink } from "../../ui/Button";
import { Badge, Empty, Skeleton } from "../../ui/Feedback";
import { Select } from "../../ui/Field";
import { LeftOut } from "../../ui/LeftOut";
import { Dialog, useToast } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { shown } from "./ImportFile";
import styles from "./TakeTraffic.module.css";

type Source = components["schemas"]["CaptureSource"];
type Wanted = components["schemas"]["CapturedQuery"];

const DAYS = ["", "30", "7", "1"] as const;
const ADDRESS = "take";
const EXAMPLE_LETTERS = 60;

function useSources(project: string) {
  return useQuery({ queryKey: ["traffic-sources", project], queryFn: () => body(api.GET("/api/v1/projects/{project}/traffic-sources", { params: { path: { project } } })) });
}

function useJobs(project: string, source: string) {
  return useQuery({ queryKey: ["traffic-jobs", project, source], queryFn: () => body(api.GET("/api/v1/projects/{project}/traffic-sources/{source}/jobs", { params: { path: { project, source } } })), staleTime: 60_000 });
}

function useCaptured(project: string, wanted: Wanted) {
  return useQuery({
    queryKey: ["data", project, "captured", wanted],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/captured-rows", { params: { path: { project }, query: wanted } })),
    placeholderData: keepPreviousData,
  });
}

function useTake(project: string, onDone: (version: Version) => void) {
  return useDataChange(project, (wanted: Wanted) => body(api.POST("/api/v1/projects/{project}/captured-rows", { params: { path: { project } }, body: wanted })), onDone);
}

/** Captured requests as a source of rows. The URL says whether its dialog is open, so that other pages lead here. */
export function TakeTraffic({ project, compact = false }: { project: string; compact?: boolean }): ReactNode {
  const { t } = useTranslation();
  const [address, setAddress] = useSearchParams();
  const mayEdit = useMay("edit");
  const open = address.get(ADDRESS) === "traffic";
  function show(wanted: boolean): void {
    setAddress(
      (old) => {
        if (wanted) old.set(ADDRESS, "traffic");
        else old.delete(ADDRESS);
        return old;
      },
      { replace: true },
    );
  }
  return (
    <>
      <Button kind={compact ? "quiet" : "plain"} small={compact} icon="learn" disabled={!mayEdit} title={mayEdit ? undefined : t("data.mayNot")} onClick={() => show(true)}>
        {t("traffic.take")}
      </Button>
      {open && <TakeDialog project={project} onClose={() => show(false)} />}
    </>
  );
}

function TakeDialog({ project, onClose }: { project: string; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const sources = useSources(project);
  if (sources.data && sources.data.length > 0) return <Choose project={project} sources={sources.data} onClose={onClose} />;
  return (
    <Dialog open wide onClose={onClose} title={t("traffic.title")} about={t("traffic.about")}>
      <Problem query={sources} />
      {sources.isPending && <Skeleton label={t("common.loading")} />}
      {sources.data && (
        <Empty icon="run" title={t("traffic.none")} actions={<ButtonLink kind="primary" icon="run" to={`/projects/${project}/run`}>{t("traffic.watch")}</ButtonLink>}>
          {t("traffic.noneTodo")}
        </Empty>
      )}
    </Dialog>
  );
}

function Choose({ project, sources, onClose }: { project: string; sources: readonly Source[]; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const toast = useToast();
  const mayEdit = useMay("edit");
  const [source, setSource] = useState(sources[0]?.id ?? "");
  const [job, setJob] = useState("");
  const [model, setModel] = useState("");
  const [days, setDays] = useState("");
  const jobs = useJobs(project, source);
  const wanted: Wanted = { source, ...(job ? { job } : {}), ...(model ? { model } : {}), ...(days ? { days: Number(days) } : {}) };
  const rows = useCaptured(project, wanted);
  const add = useTake(project, (version) => {
    toast({ text: t("traffic.added", { count: version.changed, rows: formatNumber(version.changed) }) });
    onClose();
  });
  const chosen = sources.find((one) => one.id === source);
  const models = Object.entries(chosen?.models ?? {});
  const nameOf = (one: Source) => `${one.id === "gateway" ? t("traffic.gateway") : one.id === project ? t("traffic.own") : one.name} (${formatNumber(one.requests)})`;
  const total = rows.data?.total ?? 0;

  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={t("traffic.title")}
      about={t("traffic.about")}
      foot={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button kind="primary" disabled={!mayEdit || total === 0 || rows.isPlaceholderData} busy={add.isPending} onClick={() => add.mutate(wanted)}>
            {t("traffic.add", { count: total, rows: formatNumber(total) })}
          </Button>
        </>
      }
    >
      <div className={styles.choices}>
        <Select
          label={t("traffic.source")}
          value={source}
          options={sources.map((one) => ({ value: one.id, label: nameOf(one) }))}
          onChange={(event) => {
            setSource(event.target.value);
            setJob("");
            setModel("");
          }}
        />
        <Select label={t("traffic.period")} value={days} options={DAYS.map((value) => ({ value, label: t(`traffic.days.${value || "all"}`) }))} onChange={(event) => setDays(event.target.value)} />
        {models.length > 1 && <Select label={t("traffic.model")} value={model} options={[{ value: "", label: t("traffic.anyModel") }, ...models.map(([name, count]) => ({ value: name, label: `${name} (${formatNumber(count)})` }))]} onChange={(event) => setModel(event.target.value)} />}
        <Select
          label={t("traffic.job")}
          value={job}
          options={[{ value: "", label: jobs.isPending ? t("traffic.findingJobs") : t("traffic.anyJob") }, ...(jobs.data ?? []).map((one) => ({ value: one.id, label: `${(one.labels.slice(0, 3).join(", ") || one.examples[0] || one.id).slice(0, EXAMPLE_LETTERS)} (${formatNumber(one.requests)})` }))]}
          onChange={(event) => setJob(event.target.value)}
        />
      </div>
      <Problem query={jobs} />
      <Problem query={rows} />
      {rows.isPending && <Skeleton label={t("common.loading")} />}
      {rows.data && (
        <>
          <p role="status">
            <strong>{t("traffic.found", { count: total, rows: formatNumber(total) })}</strong> {rows.data.test > 0 && t("traffic.test", { count: rows.data.test, rows: formatNumber(rows.data.test) })} {rows.data.known > 0 && t("traffic.known", { count: rows.data.known, rows: formatNumber(rows.data.known) })}
          </p>
          <LeftOut reasons={rows.data.unusable} />
          {total > 0 && (
            // A region that scrolls takes the focus, so that arrow keys scroll it.
            <div className={styles.preview} tabIndex={0} role="region" aria-label={t("traffic.preview")}>
              <ul>
                {rows.data.rows.map((row, place) => (
                  <li key={place}>
                    <span>{row.second ? `${row.input} | ${row.second}` : row.input}</span>
                    <span className={styles.answer}>
                      <strong>{shown(row.output)}</strong>
                      {row.part === "test" && <Badge>{t("data.test")}</Badge>}
                    </span>
                  </li>
                ))}
              </ul>
            </div>
          )}
        </>
      )}
      <Problem query={{ error: add.error }} />
    </Dialog>
  );
}
