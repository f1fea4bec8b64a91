import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";

import { api, body } from "../api/client";
import { useMay } from "../api/queries";
import { Button } from "../ui/Button";
import { Problem } from "../ui/Problem";
import styles from "./Start.module.css";

function useSamples() {
  return useQuery({ queryKey: ["samples"], queryFn: () => body(api.GET("/api/v1/samples")), staleTime: Infinity });
}

function useStartFrom() {
  const queries = useQueryClient();
  const go = useNavigate();
  return useMutation({
    mutationFn: ({ sample, name }: { sample: string; name: string }) => body(api.POST("/api/v1/samples/{sample}", { params: { path: { sample } }, body: { name } })),
    onSuccess: async (project) => {
      await queries.invalidateQueries({ queryKey: ["projects"] });
      await go(`/projects/${project.id}`);
    },
  });
}

/** One example of each of the commonest jobs; the others follow under "more". */
const FIRST: readonly string[] = ["support", "field-extraction", "answer", "desk"];

/** Examples with their data: one click makes a project of each. */
export function Samples(): ReactNode {
  const { t } = useTranslation();
  const samples = useSamples();
  const start = useStartFrom();
  const may = useMay("edit");
  if (samples.error) return <Problem query={samples} />;
  if (!samples.data || samples.data.length === 0) return null;
  const first = FIRST.flatMap((name) => samples.data.filter((sample) => sample.name === name));
  const rest = samples.data.filter((sample) => !FIRST.includes(sample.name));
  const card = (sample: (typeof samples.data)[number]) => {
    const title = t(`start.example.${sample.name}.title`, { defaultValue: sample.name });
    return (
      <button key={sample.name} type="button" className={styles.example} disabled={!may || start.isPending} onClick={() => start.mutate({ sample: sample.name, name: title })}>
        <strong>{title}</strong>
        <span>{t(`start.example.${sample.name}.about`, { defaultValue: sample.summary })}</span>
      </button>
    );
  };
  return (
    <section className={styles.samples} aria-labelledby="samples">
      <div className={styles.section}>
        <div>
          <h2 id="samples">{t("start.samples")}</h2>
          <p className={styles.facts}>{t("start.samplesAbout")}</p>
        </div>
        <SampleProject />
      </div>
      <Problem query={{ error: start.error }} />
      <div className={styles.examples}>{first.map(card)}</div>
      {rest.length > 0 && (
        <details className={styles.more}>
          <summary>{t("start.moreExamples", { count: rest.length })}</summary>
          <div className={styles.examples}>{rest.map(card)}</div>
        </details>
      )}
    </section>
  );
}

/** Opens the sample project: made where it is missing, and its model built where there is none. */
export function SampleProject(): ReactNode {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const go = useNavigate();
  const may = useMay("build");
  const open = useMutation({
    mutationFn: () => body(api.POST("/api/v1/sample-project", { body: { name: t("start.sampleName") } })),
    onSuccess: async (project) => {
      await queries.invalidateQueries({ queryKey: ["projects"] });
      await go(`/projects/${project.id}/build`);
    },
  });
  return (
    <>
      <Problem query={{ error: open.error }} />
      <Button icon="run" disabled={!may} busy={open.isPending} onClick={() => open.mutate()}>
        {t("start.sample")}
      </Button>
    </>
  );
}
