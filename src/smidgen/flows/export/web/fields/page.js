import { load } from "./fields.js";
import { marked, page, part, percent, table } from "./show.js";

page(load, ({ output, score, scores, spans, refused }, said) => {
  if (output === null) return [part("span", `No answer: ${refused}.`, "none")];
  const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const flat = (object, before) =>
    Object.entries(object).flatMap(([name, value]) => {
      const nested = value !== null && typeof value === "object" && !Array.isArray(value);
      return nested ? flat(value, `${before}${name}.`) : [[before + name, value === null ? "–" : shown(value), scores[before + name] ?? null]];
    });
  const places = Object.entries(spans).flatMap(([label, own]) => own.map(([start, end]) => ({ start, end, label })));
  return [marked(said, places), table(flat(output, "")), part("p", `All of this is right with a chance of ${percent(score)}.`, "sure")];
});
