import type { ReactNode } from "react";

/** Line icons on a 20 by 20 grid, drawn in the text's colour. They are decoration: the words beside them, or a label, say the same. */
const PATHS = {
  home: "M3 9.5 10 4l7 5.5V16a1 1 0 0 1-1 1h-3.5v-4.5h-5V17H4a1 1 0 0 1-1-1Z",
  data: "M3.5 5.5c0-1.4 2.9-2.5 6.5-2.5s6.5 1.1 6.5 2.5S13.6 8 10 8 3.5 6.9 3.5 5.5Zm0 0v9c0 1.4 2.9 2.5 6.5 2.5s6.5-1.1 6.5-2.5v-9m-13 4.5c0 1.4 2.9 2.5 6.5 2.5s6.5-1.1 6.5-2.5",
  label: "M3.5 4.5h6l7 7-5 5-7-7Zm3 3h.01",
  build: "M11.5 3.5a4.5 4.5 0 0 0-3.7 6.2L3.5 14l2.5 2.5 4.3-4.3a4.5 4.5 0 0 0 6.1-5.3l-2.6 2.6-2.7-.6-.6-2.7L13 3.6a4.5 4.5 0 0 0-1.5-.1Z",
  report: "M4 16.5V9m4 7.5v-12m4 12V11m4 5.5V6.5",
  chat: "M3.5 5.5A1.5 1.5 0 0 1 5 4h10a1.5 1.5 0 0 1 1.5 1.5v7A1.5 1.5 0 0 1 15 14H9l-4 3v-3a1.5 1.5 0 0 1-1.5-1.5Z",
  run: "M6 4.5v11l9-5.5Z",
  learn: "M15.5 7A6 6 0 0 0 4.4 8.2M4.5 13A6 6 0 0 0 15.6 11.8M15.8 3.5V7h-3.5M4.2 16.5V13h3.5",
  cost: "M10 3v14M13.5 6.3C13 5.3 11.7 4.8 10 4.8c-2 0-3.5.9-3.5 2.5 0 3.5 7.2 1.7 7.2 5.3 0 1.7-1.7 2.6-3.7 2.6-1.9 0-3.3-.7-3.8-1.9",
  canvas: "M3 4.5h5v4H3Zm9 7h5v4h-5ZM8 6.5h2.5a1.5 1.5 0 0 1 1.5 1.5v4",
  upload: "M10 13V4m0 0L6.5 7.5M10 4l3.5 3.5M3.5 13v2.5A1.5 1.5 0 0 0 5 17h10a1.5 1.5 0 0 0 1.5-1.5V13",
  download: "M10 4v9m0 0 3.5-3.5M10 13 6.5 9.5M3.5 13v2.5A1.5 1.5 0 0 0 5 17h10a1.5 1.5 0 0 0 1.5-1.5V13",
  plus: "M10 4v12M4 10h12",
  check: "m4 10.5 4 4 8-9",
  close: "m5 5 10 10M15 5 5 15",
  search: "M9 15A6 6 0 1 0 9 3a6 6 0 0 0 0 12Zm4.5-1.5L17 17",
  undo: "M7 4 3.5 7.5 7 11M3.5 7.5h8a5 5 0 0 1 0 10H8",
  redo: "m13 4 3.5 3.5L13 11m3.5-3.5h-8a5 5 0 0 0 0 10H12",
  stop: "M5.5 5.5h9v9h-9Z",
  clock: "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm0-11v4l2.5 2.5",
  warning: "M10 3.5 17.5 16.5h-15Zm0 5v3.5m0 2.3v.01",
  info: "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm0-8v4.5m0-7v.01",
  more: "M4.5 10h.01M10 10h.01M15.5 10h.01",
  right: "m8 4.5 5.5 5.5L8 15.5",
  down: "m4.5 8 5.5 5.5L15.5 8",
  up: "m4.5 12 5.5-5.5 5.5 5.5",
  left: "M12 4.5 6.5 10l5.5 5.5",
  sun: "M10 13.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM10 2v1.5m0 13V18m8-8h-1.5m-13 0H2m13.66-5.66-1.06 1.06M5.4 14.6l-1.06 1.06m11.32 0-1.06-1.06M5.4 5.4 4.34 4.34",
  moon: "M16.5 11.5A7 7 0 0 1 8.5 3.5a7 7 0 1 0 8 8Z",
  key: "M12.5 11.5a4 4 0 1 0-3.8-2.7L3 14.5V17h3v-2h2v-2l1.7-1.7a4 4 0 0 0 2.8.2Zm1-4h.01",
  people: "M7.5 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM2 16.5c.4-3 2.5-4.5 5.5-4.5s5.1 1.5 5.5 4.5m0-12.7a3 3 0 0 1 0 5.4m2 3.1c1.6.7 2.7 2.1 3 4.2",
  trash: "M4 5.5h12M8 5.5V4h4v1.5m2.5 0-.7 11h-7.6l-.7-11",
  branch: "M6 7a2 2 0 1 0 0-4 2 2 0 0 0 0 4Zm0 0v6m0 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4Zm8-4a2 2 0 1 0 0-4 2 2 0 0 0 0 4Zm0 0c0 3-3 3.5-6.5 4.5",
  bolt: "M11 2.5 4.5 11.5H9.5L9 17.5l6.5-9H10.5Z",
  doc: "M5 3h6.5L15.5 7v10H5Zm6 0v4.5h4.5",
  hide: "M3 3l14 14M8.3 8.4a2.4 2.4 0 0 0 3.3 3.3M6 6.2C4.2 7.2 2.9 8.700 2.2 10c1.400 2.800 4.300 5 7.800 5 1.400 0 2.700-.35 3.900-.95M9 5.100c.33-.06.660-.1 1-.1 3.500 0 6.400 2.200 7.800 5-.45.900-1.100 1.800-1.900 2.550",
  shield: "M10 2.500 16 5v4.500c0 3.700-2.400 6.600-6 8-3.600-1.400-6-4.300-6-8V5Zm-2.700 7.300 2 2 3.600-4",
  pencil: "m4 16 .8-3.4L13 4.4l2.6 2.6-8.2 8.2Zm7.2-9.8 2.6 2.6",
  copy: "M7 7h9v9H7Zm-3 6V4h9",
  code: "m7 6-4 4 4 4m6-8 4 4-4 4",
  gift: "M4 9.500h12V17H4ZM3 6.500h14v3H3Zm7 0V17M10 6.500C8 6.500 6.500 5.700 6.500 4.500S8.600 2.700 10 6.500Zm0 0c2 0 3.500-.8 3.500-2S11.400 2.700 10 6.500Z",
  fields: "M3 5h14v10H3Zm0 3.500h14M9 8.500V15",
  scale: "M10 3v13.500M6 16.500h8M4 5.500l12-1M4 5.500 2 11a2.200 2.200 0 0 0 4 0Zm12-1L14 10a2.200 2.200 0 0 0 4 0Z",
  box: "M3.500 6.500 10 3l6.500 3.500v7L10 17l-6.500-3.500Zm0 0L10 10l6.500-3.500M10 10v7",
  truck: "M2 5h9v9H2Zm9 3.500h3.500l3 3V14H11M7 14a1.700 1.700 0 1 1-3.400 0M16 14a1.700 1.700 0 1 1-3.400 0",
} satisfies Record<string, string>;

export type IconName = keyof typeof PATHS;

/** The icon of each job of the first page; a job that came with an added part has a plus. */
const GOALS: Readonly<Record<string, IconName>> = { classify: "label", extract: "fields", answer: "search", desk: "chat", write: "pencil", act: "bolt", recommend: "gift", complete: "code", offload: "scale" };
/** The icon of each kind of plan. */
const PLANS: Readonly<Record<string, IconName>> = { stock: "box", routes: "truck", trips: "sun" };

export function goalIcon(job: string): IconName {
  return GOALS[job] ?? "plus";
}

export function planIcon(solver: string): IconName {
  return PLANS[solver] ?? "plus";
}

export function Icon({ name, size = 18 }: { name: IconName; size?: number }): ReactNode {
  return (
    <svg viewBox="0 0 20 20" width={size} height={size} fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
