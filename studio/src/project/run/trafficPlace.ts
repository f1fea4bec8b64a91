import { useSearchParams } from "react-router";

import { GROUPS } from "./queries";

export const PERIODS = ["1", "7", "30"] as const;

/** The traffic's place in the URL: the days, and the rows that are shown. */
export function useTrafficPlace() {
  const [search, setSearch] = useSearchParams();
  const days = PERIODS.find((period) => period === search.get("days")) ?? "7";
  const group = GROUPS.find((name) => name === search.get("show")) ?? null;
  function go(values: Record<string, string | null>): void {
    setSearch(
      (old) => {
        for (const [name, value] of Object.entries(values)) {
          if (value === null || value === "") old.delete(name);
          else old.set(name, value);
        }
        return old;
      },
      { replace: true },
    );
  }
  return { days, group, why: search.get("why"), text: search.get("q") ?? "", page: Math.max(0, Number(search.get("page") ?? 0) || 0), go };
}
