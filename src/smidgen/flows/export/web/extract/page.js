import { load } from "./extract.js";
import { marked, page, part, percent, table } from "./show.js";

page(load, ({ spans, score }, said) => [
  ...(spans.length ? [marked(said, spans), table(spans.map(({ label, text, score }) => [label, text, score]))] : [part("span", "No spans.", "none")]),
  part("p", `All of this is right with a chance of ${percent(score)}.`, "sure"),
]);
