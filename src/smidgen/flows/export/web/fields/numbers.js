// Numbers as people write them, in digits and in English words: the same reading as smidgen's `text/numbers.py`.

const ALNUM = "[\\p{L}\\p{N}]", WORDS = "[\\p{L}\\p{N}_]";
const GROUP = "[.,'’ \\u00a0\\u202f]", CURRENCY = "£$€¥";
const SIGN = `(?:[\\-+−](?:[${CURRENCY}][ \\u00a0]?)?|minus[ ][${CURRENCY}]?)`;
const FRONT = `(?:(?<!${ALNUM})|(?<=(?<!${WORDS})[xX]))`;
const DIGITS = new RegExp(
  `${FRONT}(?:(?<!${WORDS})${SIGN})?(?:\\p{Nd}{1,3}(?:${GROUP}\\p{Nd}{3})+(?!\\p{Nd})(?:[.,]\\p{Nd}+)?|\\p{Nd}+(?:[.,]\\p{Nd}+)?)(?!\\p{Nd})`,
  "iu",
);
const WORD = /[\p{L}\p{Nl}\p{No}]+/gu;
const ONE = ["a", "an"];

/** `words` are the English ones: `{ small, tens, scales, groups }`, each by its name. Gives a function: a text and what stands before
 * decimals to its first number, or null. */
export function numbers(words) {
  const small = new Map(Object.entries(words.small)), tens = new Map(Object.entries(words.tens));
  const scales = new Map(Object.entries(words.scales)), groups = new Map(Object.entries(words.groups));

  const follows = (text, found, place) =>
    place > 0 && place < found.length && [" ", "-"].includes(text.slice(found[place - 1].end, found[place].start));
  const mayGoOn = (whole, part) => (part ? part % 100 === 0 : whole > 0);

  /** Where the number in words that begins at a word ends, and its value; the place itself where none begins there. */
  const run = (text, found, first) => {
    const names = found.slice(first, first + 3).map(({ word }) => word);
    if (names.length === 3 && names[0] === "half" && ONE.includes(names[1]) && names[2] === "dozen") return [first + 3, 6];
    let place = first, whole = 0, part = 0, last = 0;
    while (place < found.length && (place === first || follows(text, found, place))) {
      const { word } = found[place], following = found[place + 1]?.word ?? "";
      if (ONE.includes(word) && place === first && (scales.has(following) || groups.has(following))) part = 1;
      else if (word === "and" && mayGoOn(whole, part) && (small.has(following) || tens.has(following)) && follows(text, found, place + 1)) ;
      else if (tens.has(word) && part % 100 === 0) part += tens.get(word);
      else if (small.has(word) && (part % 100 === 0 || (part % 10 === 0 && small.get(word) > 0 && small.get(word) < 10 && part % 100 >= 20)))
        part += small.get(word);
      else if (word === "hundred" && part > 0 && part < 100) part *= 100;
      else if (scales.has(word) && word !== "hundred" && part) [whole, part] = [whole + part * scales.get(word), 0];
      else if (groups.has(word) && (part || place === first)) return [place + 1, whole + Math.max(1, part) * groups.get(word)];
      else break;
      last = ++place;
    }
    return [last, whole + part];
  };

  /** The first number in words. */
  const worded = (text) => {
    const found = [...text.matchAll(WORD)].map((hit) => ({ word: folded(hit[0]), start: hit.index, end: hit.index + hit[0].length }));
    for (let place = 0; place < found.length; place++) {
      const first = place + Number(found[place].word === "minus" && follows(text, found, place + 1));
      const [past, value] = run(text, found, first);
      if (past > first) return { start: found[place].start, value: first === place ? value : -value };
    }
    return null;
  };

  return (text, mark) => {
    const digits = DIGITS.exec(text), said = worded(text);
    if (digits === null || (said !== null && said.start < digits.index)) return said === null ? null : said.value;
    const value = Number(plain(digits[0], mark));
    // A whole number over 2^53 is another one in a browser: it is not given.
    return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value)) ? value + 0 : null;
  };
}

function plain(found, otherwise) {
  const bare = ascii(found.replace(/minus|−/giu, "-").replace(new RegExp(`['’ \\u00a0\\u202f${CURRENCY}]`, "gu"), ""));
  const mark = told(bare) ?? otherwise;
  return bare.replaceAll(mark === "." ? "," : ".", "").replace(mark, ".");
}

/** What stands before the decimals, as far as the digits tell. */
function told(bare) {
  const marks = [...bare].filter((letter) => letter === "." || letter === ",");
  if (new Set(marks).size === 2) return marks[marks.length - 1];
  if (marks.length > 1) return marks[0] === "," ? "." : ",";
  if (!marks.length) return null;
  const [whole, behind] = bare.replace(/^[+-]+/, "").split(/[.,]/);
  return behind.length !== 3 || whole.length > 3 || whole.startsWith("0") ? marks[0] : null;
}

/** Digits of any script as 0 to 9. */
export function ascii(text) {
  return text.replace(/\p{Nd}/gu, (digit) => {
    let first = digit.codePointAt(0);
    while (/\p{Nd}/u.test(String.fromCodePoint(first - 1))) first--;
    return String((digit.codePointAt(0) - first) % 10);
  });
}

/** A text without its case, letter by letter. */
export function folded(text) {
  return [...text].map((letter) => (letter === "ı" ? letter : letter.toUpperCase().toLowerCase().replaceAll("ς", "σ"))).join("");
}
