import { load } from "./classify.js";
import { page, table } from "./show.js";

page(load, ({ output, score, alternatives }) => [
  table([[[output].flat().join(", ") || "(none)", null, score], ...alternatives.map(([label, chance]) => [label, null, chance])], 0),
]);
