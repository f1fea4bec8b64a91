import { useMemo, useSyncExternalStore } from "react";

function subscribe(tell: () => void): () => void {
  const watcher = new MutationObserver(tell);
  watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  return () => watcher.disconnect();
}

/** The values of colour tokens, for what is drawn on a canvas. They follow the theme. */
export function useTokens<N extends string>(names: readonly N[]): Record<N, string> {
  const theme = useSyncExternalStore(subscribe, () => document.documentElement.dataset["theme"] ?? "");
  return useMemo(() => {
    const style = getComputedStyle(document.documentElement);
    return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(name).trim() || (theme && "currentcolor")])) as Record<N, string>;
  }, [names, theme]);
}
