const STORED = "smidgen.theme";

export type Theme = "light" | "dark";

/** The theme in use: the one that was chosen here, else the system's. */
export function currentTheme(): Theme {
  const stored = localStorage.getItem(STORED);
  if (stored === "light" || stored === "dark") return stored;
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Put a theme on the page; with `remember` it is kept on this machine. */
export function applyTheme(theme: Theme, remember = false): void {
  document.documentElement.dataset["theme"] = theme;
  if (remember) localStorage.setItem(STORED, theme);
}
