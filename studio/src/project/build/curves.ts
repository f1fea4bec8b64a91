import type { RunCurve } from "../../api/events";

/** One figure of several builds over the same axis; a build that told nothing at a place has null there. */
export interface SharedCurves {
  x: readonly number[];
  lines: readonly { label: string; values: readonly (number | null)[] }[];
}

const LEAST_POINTS = 3;

/** The curves of the first of these figures that a build told, each as a share of its own training, so that builds of other lengths compare. */
export function sideBySide(builds: readonly { label: string; curves: readonly RunCurve[] }[], name: string): SharedCurves | null {
  const drawn = builds.flatMap(({ label, curves }) => {
    const points = longest(curves.filter((curve) => curve.name === name));
    const last = points.at(-1)?.at ?? 0;
    return points.length >= LEAST_POINTS && last > 0 ? [{ label, at: new Map(points.map((point) => [Math.round((1000 * point.at) / last) / 10, point.value])) }] : [];
  });
  if (drawn.length < 2) return null;
  const x = [...new Set(drawn.flatMap((line) => [...line.at.keys()]))].sort((one, other) => one - other);
  return { x, lines: drawn.map((line) => ({ label: line.label, values: x.map((at) => line.at.get(at) ?? null) })) };
}

/** The curve with the most points: a build tells one for each of its trainings, and the longest is that of what it ships. */
function longest(curves: readonly RunCurve[]): RunCurve["points"] {
  return curves.reduce<RunCurve["points"]>((best, curve) => (curve.points.length > best.length ? curve.points : best), []);
}

/** The settings that differ between builds, each with its value in every build, null where it was left alone. */
export function differing(settings: readonly Readonly<Record<string, Readonly<Record<string, unknown>>>>[]): { section: string; name: string; values: readonly unknown[] }[] {
  const sections = [...new Set(settings.flatMap(Object.keys))].sort();
  return sections
    .flatMap((section) => [...new Set(settings.flatMap((tree) => Object.keys(tree[section] ?? {})))].sort().map((name) => ({ section, name, values: settings.map((tree) => tree[section]?.[name] ?? null) })))
    .filter(({ values }) => new Set(values.map((value) => JSON.stringify(value))).size > 1);
}
