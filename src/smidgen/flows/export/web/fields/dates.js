// Dates as people write them, read into ISO form: the same reading as smidgen's `text/dates.py`.

import { ascii, folded } from "./numbers.js";

const D = "\\p{Nd}", END = "(?![\\p{L}\\p{N}_])", NAME = "(?<name>[\\p{L}\\p{Nl}\\p{No}]{3,12})";
const YEAR =
  `(?<year>${D}{4}|['’]?${D}{2}(?!${D}|[:.h]${D}|[ \\u00a0]?(?:[ap]\\.?m${END}|h${END}|uhr${END}|o['’]clock)))`;
const FORMS = [
  [`(?<!${D})(?<year>${D}{4})(?<sep>[\\-/.])(?<month>${D}{1,2})\\k<sep>(?<day>${D}{1,2})(?!${D})`, "gu"],
  [`(?<![${D}.])(?<one>${D}{1,2})(?<sep>[\\-/.])(?<two>${D}{1,2})\\k<sep>(?<year>${D}{4}|${D}{2})(?!${D})`, "gu"],
  [
    `(?<!${D})(?<day>${D}{1,2})(?:st|nd|rd|th|er|º|\\.)?[ \\t\\u00a0\\-]*(?:of |de )?${NAME}${END}\\.?(?:,?[ \\t\\u00a0\\-]*(?:de )?${YEAR})?`,
    "giu",
  ],
  [
    `(?<![\\p{L}\\p{N}])${NAME}\\.?[ \\t\\u00a0]+(?:the )?(?<day>${D}{1,2})(?!${D})(?:(?:st|nd|rd|th)${END}|${END})(?:,?[ \\t\\u00a0]*(?<year>${D}{4}))?`,
    "giu",
  ],
  [`(?<![${D}./\\-])(?<one>${D}{1,2})(?<sep>[/.\\-])(?<two>${D}{1,2})(?![${D}/\\-]|\\.${D})`, "gu"],
].map(([form, flags]) => new RegExp(form, flags));

/** `months` are the numbers of months by their names, in small letters. Gives a function: words, and how dates are meant that they do not
 * settle, to the first date as YYYY-MM-DD, or null. */
export function dates(months) {
  const byName = new Map(Object.entries(months));
  const date = (said, dayFirst, otherwise, pivot) => {
    let year = otherwise, month, day;
    const number = (digits) => Number(ascii(digits));
    if (said.year) {
      const digits = said.year.replace(/^['’]+/, "");
      year = number(digits);
      if ([...digits].length === 2) year += year >= pivot ? 1900 : 2000;
    }
    if (said.name) [month, day] = [byName.get(folded(said.name)) ?? 0, number(said.day)];
    else if (said.month) [month, day] = [number(said.month), number(said.day)];
    else {
      const one = number(said.one), two = number(said.two);
      [day, month] = (dayFirst && two <= 12) || one > 12 ? [one, two] : [two, one];
    }
    return iso(year, month, day);
  };
  return (words, { day_first: dayFirst, year, pivot }) => {
    for (const form of FORMS) {
      for (const { groups } of words.matchAll(form)) {
        // A leap year: that a day can be is not settled before the year is known.
        if (!date(groups, true, 2000, 69) && !date(groups, false, 2000, 69)) continue;
        const found = date(groups, dayFirst, year, pivot);
        if (found) return found;
      }
    }
    return null;
  };
}

/** A day of the calendar as YYYY-MM-DD; null where there is none. */
export function iso(year, month, day) {
  if (!(year >= 1 && year <= 9999 && month >= 1 && month <= 12 && day >= 1)) return null;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  if (day > [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]) return null;
  return [String(year).padStart(4, "0"), String(month).padStart(2, "0"), String(day).padStart(2, "0")].join("-");
}
