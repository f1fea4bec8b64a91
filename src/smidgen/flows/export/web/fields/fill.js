// Objects out of what a tagger finds, held to the schema: the same arithmetic as smidgen's `tasks/field_filling.py`.

import { fault, fields, kind, nullable, settled } from "./schema.js";
import { curve, decided, logit } from "./tag.js";
import { ways } from "./ways.js";

const SURE = 1 - 1e-9;

/** `told` holds the schema, the plan and what was fitted. Gives a function: `{ letters, likely, choices }` to
 * `{ output, score, scores, spans, refused }`, spans in characters. */
export function filler(told) {
  const { schema, plan } = told, valueOf = ways(told), nodes = new Map(fields(schema));
  const fits = (path) => {
    const node = nodes.get(path), one = node.items ?? node;
    return (value) => fault(value, one) === "";
  };
  const byKind = plan.kinds.map((path) => fits(path));

  /** The values that spans are for, likeliest first; of two that overlap the likelier stays. */
  const found = (letters, likely) => {
    const made = plan.kinds.map(() => new Map());
    for (const { start, end, kind: number, chance } of decided(likely, 0)[0]) {
      const way = plan.ways[number];
      const value = valueOf(letters.slice(start, end).join(""), way, byKind[number]);
      const key = JSON.stringify(way.distinct ? [value] : [value, start, end]);
      if (value !== null && !made[number].has(key)) made[number].set(key, { value, chance, place: [start, end] });
    }
    return made.map((own) => [...own.values()]);
  };

  return ({ letters, likely, choices }) => {
    const given = new Map(), scores = {}, spans = {};
    let whole = 0;
    plan.choices.forEach(({ path, values }, number) => {
      const chance = Math.max(...choices[number]), value = values[choices[number].indexOf(chance)];
      whole += Math.log(Math.max(chance, 1e-9));
      if (value === null) return;
      given.set(path, value);
      scores[path] = chance;
    });
    const read = found(letters, likely);
    plan.kinds.forEach((path, number) => {
      const way = plan.ways[number], own = read[number];
      const sure = own.filter(({ chance }) => chance >= plan.threshold);
      const kept = sure.slice(0, way.list ? nodes.get(path).maxItems : 1).sort((a, b) => a.place[0] - b.place[0] || a.place[1] - b.place[1]);
      const rest = way.list || !kept.length ? own.slice(kept.length) : [];
      whole += kept.reduce((sum, { chance }) => sum + Math.log(Math.max(chance, 1e-9)), 0);
      whole += rest.reduce((sum, { chance }) => sum + Math.log1p(-Math.min(chance, SURE)), 0);
      if (!kept.length) return;
      given.set(path, way.list ? kept.map(({ value }) => value) : kept[0].value);
      scores[path] = Math.min(...kept.map(({ chance }) => chance));
      spans[path] = kept.map(({ place }) => place);
    });
    const output = settled(nested(given, schema, ""), schema);
    const why = fault(output, schema);
    if (why) return { output: null, score: 0, scores: {}, spans: {}, refused: why };
    return { output, score: curve(logit(Math.exp(whole)), 1 / told.temperature, told.shift), scores, spans, refused: "" };
  };
}

/** Values by their paths as an object. An object of which nothing was found is left out where it may be. */
function nested(given, schema, before) {
  const made = {};
  for (const [name, node] of Object.entries(schema.properties)) {
    const path = before + name, needed = schema.required.includes(name) && !nullable(node);
    if (kind(node) === "object") {
      const inner = nested(given, node, `${path}.`);
      if (Object.keys(inner).length || needed) made[name] = inner;
    } else if (given.has(path)) made[name] = given.get(path);
    else if (node.items && needed) made[name] = [];
  }
  return made;
}
