// From logits to an answer: { output, score, alternatives }. The same arithmetic as smidgen's task `classify`.

/** `decision` holds labels, temperature, and where there are any: multi_label with threshold, unknown with unknown_threshold. */
export function decide(logits, decision) {
  const { labels, temperature } = decision;
  if (decision.multi_label) return several(logits.map((x) => 1 / (1 + Math.exp(-x / temperature))), decision);
  const chances = softmax(logits.slice(0, labels.length), temperature);
  if (decision.unknown === undefined) return one(chances, labels, 1);
  const all = softmax(logits, temperature);
  const outside = all.slice(labels.length).reduce((a, b) => a + b, 0);
  // How unlike all labels the text is: the entropy of the probabilities, over that of equal ones.
  const entropy = all.slice(0, labels.length).reduce((sum, p) => {
    const share = p + outside / labels.length;
    return sum - share * Math.log(Math.max(share, 1e-12));
  }, 0);
  const odd = Math.min(1, Math.max(0, entropy / Math.log(Math.max(2, labels.length))));
  const inside = one(chances, labels, 1 - outside);
  if (!(odd > decision.unknown_threshold)) return inside;
  const score = 0.5 + (0.5 * (odd - decision.unknown_threshold)) / Math.max(1e-9, 1 - decision.unknown_threshold);
  const runners = [[inside.output, inside.score], ...inside.alternatives.slice(0, -1)];
  return { output: decision.unknown, score, alternatives: runners.map(([label, chance]) => [label, (1 - score) * chance]) };
}

function one(chances, labels, known) {
  const order = ranked(chances).slice(0, RUNNERS_UP + 1);
  const named = order.map((place) => [labels[place], known * chances[place]]);
  return { output: named[0][0], score: named[0][1], alternatives: named.slice(1) };
}

function several(chances, { labels, threshold }) {
  const order = ranked(chances);
  const given = order.filter((place) => chances[place] >= threshold).map((place) => labels[place]);
  const rest = order.filter((place) => chances[place] < threshold).map((place) => [labels[place], chances[place]]);
  const score = chances.reduce((product, p) => product * (p >= threshold ? p : 1 - p), 1);
  return { output: given.sort((a, b) => (a < b ? -1 : 1)), score, alternatives: rest.slice(0, RUNNERS_UP) };
}

const RUNNERS_UP = 3;

function ranked(chances) {
  return chances.map((_, place) => place).sort((a, b) => chances[b] - chances[a] || a - b);
}

function softmax(logits, temperature) {
  const most = Math.max(...logits);
  const powers = logits.map((x) => Math.exp((x - most) / temperature));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
}
