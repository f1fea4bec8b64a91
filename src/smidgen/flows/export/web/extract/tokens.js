// A text as pieces of words (BERT's WordPiece), each with its place in the text. Places count characters (code points), not UTF-16 units.

const CHINESE = [[0x4e00, 0x9fff], [0x3400, 0x4dbf], [0x20000, 0x2a6df], [0x2a700, 0x2b73f], [0x2b740, 0x2b81f], [0x2b920, 0x2ceaf],
  [0xf900, 0xfaff], [0x2f800, 0x2fa1f]];
const SPACE = /\p{White_Space}/u, PUNCTUATION = /[!-/:-@[-`{-~]|\p{P}/u, CONTROL = /\p{C}/u, MARK = /\p{Mn}/u;

/** `told` is tokenizer.json: a WordPiece model behind BERT's normalizer, or none. Gives a function: characters to { ids, places }. */
export function tokenizer(told) {
  const { vocab, unk_token, continuing_subword_prefix: prefix, max_input_chars_per_word: longest } = told.model;
  const { clean_text, handle_chinese_chars, lowercase, strip_accents } = told.normalizer ?? {};
  const strip = strip_accents ?? lowercase;
  const unknown = vocab[unk_token];

  /** What a character becomes: none, one or several. */
  const normal = (letter) => {
    const code = letter.codePointAt(0);
    if (clean_text) {
      if (code === 0 || code === 0xfffd || (CONTROL.test(letter) && !"\t\n\r".includes(letter))) return [];
      if (SPACE.test(letter)) return [" "];
    }
    let out = letter;
    if (strip) out = [...out.normalize("NFD")].filter((part) => !MARK.test(part)).join("");
    if (lowercase) out = out.toLowerCase();
    return [...out];
  };

  const words = (letters) => {
    const found = [];
    let word = [];
    const close = () => { if (word.length) found.push(word); word = []; };
    letters.forEach((letter, place) => {
      const code = letter.codePointAt(0);
      const alone = handle_chinese_chars && CHINESE.some(([first, last]) => first <= code && code <= last);
      for (const part of normal(letter)) {
        if (SPACE.test(part)) close();
        else if (alone || PUNCTUATION.test(part)) { close(); found.push([[part, place]]); }
        else word.push([part, place]);
      }
    });
    close();
    return found;
  };

  const pieces = (word) => {
    const whole = [[unknown, word[0][1], word[word.length - 1][1] + 1]];
    if (word.length > longest) return whole;
    const found = [];
    for (let start = 0; start < word.length; ) {
      let end = word.length, id;
      for (; end > start; end--) {
        id = vocab[(start ? prefix : "") + word.slice(start, end).map(([part]) => part).join("")];
        if (id !== undefined) break;
      }
      if (end === start) return whole;
      found.push([id, word[start][1], word[end - 1][1] + 1]);
      start = end;
    }
    return found;
  };

  return (letters) => {
    const found = words(letters).flatMap(pieces);
    return { ids: found.map(([id]) => id), places: found.map(([, start, end]) => [start, end]) };
  };
}
