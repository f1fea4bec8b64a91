// From a text to windows for the model, and from what it computes to spans: the same reading and arithmetic as smidgen's tagger.

const LEVELS = {
  words: /[\p{L}\p{N}]+|_|[^\p{L}\p{N}_\p{White_Space}\x1c-\x1f]/gu,
  runs: /[\p{L}\p{Nl}\p{No}]+|\p{Nd}+|_|[^\p{L}\p{N}_\p{White_Space}\x1c-\x1f]/gu,
  characters: /[^\p{White_Space}\x1c-\x1f]/gu,
};
const LONGEST = 100000, LEAST = 0.05, DEEPEST = 60, CERTAIN = 1e-9;
const BEGIN = 0, INSIDE = 1, END = 2, SINGLE = 3;

/** A text's windows, each { ids, shapes } with the special tokens around, and what `spans` needs to read the answers. */
export function read(text, tokenize, told) {
  const letters = [...text].slice(0, LONGEST);
  const { ids, places } = tokenize(letters);
  const units = [], shapes = new Array(ids.length).fill(0);
  for (const [start, end] of unitsOf(letters, told.level)) {
    // A unit takes all pieces that it shares a character with.
    const first = below(places, ([, last]) => last <= start), past = below(places, ([begins]) => begins < end);
    if (first < past) units.push({ start, end, first, past });
    const form = told.shaped ? shape(letters.slice(start, end)) : 0;
    for (let piece = below(places, ([begins]) => begins < start); piece < past; piece++) shapes[piece] = form;
  }
  const cuts = windows(ids.length, told.room);
  const around = (inner, fill) => [...told.before.map(fill), ...inner, ...told.after.map(fill)];
  return {
    letters, units, cuts,
    windows: cuts.map(({ start, end }) => ({
      ids: around(ids.slice(start, end), (id) => id),
      shapes: around(shapes.slice(start, end), () => 0),
    })),
  };
}

/** What the model finds in a text: `likely`, spans of characters with the number of their kind and their chance, rounded; and `choices`, for
 * each choice the chances of its values. */
export function found(reading, tables, told) {
  const tags = told.transitions.length;
  const own = reading.cuts.flatMap((cut, place) => {
    const skip = told.before.length - cut.start;
    return tables[place].slice(skip + cut.own, skip + cut.ownEnd).map((row) => row.slice(0, tags));
  });
  const emissions = reading.units.map(({ first, past }) => mean(own.slice(first, past)));
  const likely = chain(emissions, told.transitions).map(([a, b, kind, chance]) => ({
    start: reading.units[a].start, end: reading.units[b].end, kind, chance: round6(chance),
  }));
  return { likely, choices: chosen(tables.flat(), tags, told.choices ?? []) };
}

/** The answer: spans with their places in the text, as JavaScript counts them, and how sure each is; and how sure it is of them all. */
export function answer(reading, tables, told) {
  const [kept, rest] = decided(found(reading, tables, told).likely, told.threshold);
  const sure = ({ chance }) => curve(logit(chance), told.span_slope, told.span_shift);
  const whole = Math.exp(
    kept.reduce((sum, span) => sum + Math.log(Math.max(sure(span), 1e-9)), 0) +
    rest.reduce((sum, span) => sum + Math.log1p(-Math.min(sure(span), 1 - 1e-9)), 0),
  );
  const at = places(reading.letters);
  const spans = [...kept].sort((a, b) => a.start - b.start).map((span) => ({
    start: at[span.start], end: at[span.end], label: told.kinds[span.kind],
    text: reading.letters.slice(span.start, span.end).join(""), score: sure(span),
  }));
  return { spans, score: curve(logit(whole), 1 / told.temperature, told.shift) };
}

/** Where each character begins, as JavaScript counts places, and where the last one ends. */
export function places(letters) {
  const at = [0];
  for (const letter of letters) at.push(at[at.length - 1] + letter.length);
  return at;
}

/** The chances of each choice's values, by the mean of the log weights of all tokens; `choices` have their `values`. */
function chosen(rows, tags, choices) {
  if (!choices.length) return [];
  const all = mean(rows.map((row) => row.slice(tags)));
  let place = 0;
  return choices.map(({ values }) => {
    const part = all.slice(place, (place += values.length)), most = Math.max(...part);
    const weights = part.map((x) => Math.exp(x - most)), sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((weight) => round6(weight / sum));
  });
}

const round6 = (x) => Math.round(x * 1e6) / 1e6;

function unitsOf(letters, level) {
  // The pattern counts UTF-16 units; the tagger counts characters.
  const at = new Map([[0, 0]]);
  let length = 0;
  letters.forEach((letter, place) => at.set((length += letter.length), place + 1));
  return [...letters.join("").matchAll(LEVELS[level])].map((found) => [at.get(found.index), at.get(found.index + found[0].length)]);
}

/** How many at the front of a sorted list fulfil something that those behind do not. */
function below(list, holds) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(list[middle])) low = middle + 1; else high = middle;
  }
  return low;
}

function shape(word) {
  const letters = word.filter((letter) => /\p{L}/u.test(letter));
  if (!letters.length) return 0;
  const large = letters.filter((letter) => /\p{Uppercase}/u.test(letter)).length;
  const digits = word.some((letter) => /\p{Nd}|[\u00b2\u00b3\u00b9\u2070-\u2079\u2080-\u2089\u2460-\u2468]/u.test(letter));
  if (!large) return digits ? 5 : 0;
  if (large === letters.length) return digits ? 6 : letters.length > 1 ? 2 : 3;
  if (digits) return 7;
  return large === 1 && /\p{Uppercase}/u.test(word[0]) ? 1 : 4;
}

function windows(pieces, room) {
  if (pieces <= room) return [{ start: 0, end: pieces, own: 0, ownEnd: pieces }];
  const count = 1 + Math.ceil((pieces - room) / Math.max(1, Math.floor(room / 2)));
  const step = (pieces - room) / (count - 1);
  const starts = Array.from({ length: count }, (_, place) => (place === count - 1 ? pieces - room : even(place * step)));
  const cuts = [0, ...starts.slice(1).map((next, place) => Math.floor((starts[place] + room + next) / 2)), pieces];
  return starts.map((start, place) => ({ start, end: start + room, own: cuts[place], ownEnd: cuts[place + 1] }));
}

/** Rounded, halves to the even number. */
function even(x) {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + (floor % 2) : Math.round(x);
}

function mean(rows) {
  return rows[0].map((_, column) => rows.reduce((sum, row) => sum + row[column], 0) / rows.length);
}

/** Spans that are at least so likely under a linear chain over the tags, [first unit, last unit, kind, probability]. */
function chain(emissions, transitions) {
  if (!emissions.length) return [];
  const size = transitions.length, part = (tag) => (tag ? (tag - 1) % 4 : SINGLE), kind = (tag) => (tag ? Math.floor((tag - 1) / 4) : -1);
  const opens = (tag) => [BEGIN, SINGLE].includes(part(tag)), closes = (tag) => [END, SINGLE].includes(part(tag));
  const may = (a, b) => (closes(a) && opens(b)) || (!closes(a) && [INSIDE, END].includes(part(b)) && kind(a) === kind(b));
  const tags = [...Array(size).keys()];
  const between = tags.map((a) => tags.map((b) => (may(a, b) ? Math.exp(Math.min(DEEPEST, Math.max(-DEEPEST, transitions[a][b]))) : 0)));
  const weights = emissions.map((row) => {
    const most = Math.max(...row);
    return row.map((x) => Math.exp(Math.max(x - most, -DEEPEST)));
  });
  const before = [], scales = [], last = weights.length - 1;
  let step = tags.map((tag) => Number(opens(tag)));
  for (const row of weights) {
    const raw = row.map((weight, tag) => weight * step[tag]);
    const scale = raw.reduce((a, b) => a + b, 0);
    const now = raw.map((x) => x / scale);
    scales.push(scale);
    before.push(now);
    step = tags.map((b) => now.reduce((sum, x, a) => sum + x * between[a][b], 0));
  }
  const after = new Array(weights.length);
  const ended = tags.reduce((sum, tag) => sum + before[last][tag] * closes(tag), 0);
  after[last] = tags.map((tag) => closes(tag) / ended);
  for (let place = last - 1; place >= 0; place--) {
    const next = weights[place + 1].map((weight, tag) => weight * after[place + 1][tag]);
    after[place] = tags.map((a) => next.reduce((sum, x, b) => sum + between[a][b] * x, 0) / scales[place + 1]);
  }
  const found = [];
  for (let place = 0; place <= last; place++) {
    for (let tag = 1; tag < size; tag++) {
      const likely = before[place][tag] * after[place][tag];
      if (likely < LEAST) continue;
      if (part(tag) === SINGLE) found.push([place, place, kind(tag), Math.min(1, likely)]);
      if (part(tag) !== BEGIN) continue;
      const inside = tag + INSIDE, end = tag + END;
      let mass = before[place][tag], at = tag;
      for (let stop = place + 1; stop <= last; stop++) {
        const done = ((mass * between[at][end] * weights[stop][end]) / scales[stop]) * after[stop][end];
        if (done >= LEAST) found.push([place, stop, kind(tag), Math.min(1, done)]);
        mass = (mass * between[at][inside] * weights[stop][inside]) / scales[stop];
        at = inside;
        if (mass * after[stop][inside] < LEAST) break;
      }
    }
  }
  return found;
}

/** The spans to give, likeliest first, and those that could have been given: no two overlap. */
export function decided(likely, threshold) {
  const kept = [], rest = [];
  for (const span of [...likely].sort((a, b) => b.chance - a.chance || a.start - b.start || a.end - b.end || a.kind - b.kind)) {
    if (kept.some((other) => span.start < other.end && other.start < span.end)) continue;
    (span.chance >= threshold ? kept : rest).push(span);
  }
  return [kept, rest];
}

export function logit(chance) {
  const p = Math.min(1 - CERTAIN, Math.max(CERTAIN, chance));
  return Math.log(p) - Math.log1p(-p);
}

export function curve(score, slope, shift) {
  return 0.5 * (1 + Math.tanh(0.5 * (slope * score + shift)));
}
