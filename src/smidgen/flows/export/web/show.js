// What the pages share: the model is loaded once, and asked again whenever the text changes.

/** `load` gives a function from a text to an answer; `show` gives the elements that show it. */
export async function page(load, show) {
  const state = document.getElementById("state"), text = document.getElementById("text"), place = document.getElementById("answer");
  const tell = (words, bad = false) => {
    state.textContent = words;
    state.classList.toggle("bad", bad);
  };
  try {
    const ask = await load();
    const answer = async () => {
      const said = text.value;
      try {
        const found = said.trim() ? show(await ask(said), said) : [part("span", "Type a text above.", "none")];
        if (said !== text.value) return; // more was typed meanwhile
        place.replaceChildren(...found);
        tell("Ready.");
      } catch (error) {
        tell("This text could not be answered: " + error.message, true);
      }
    };
    text.addEventListener("input", answer);
    text.disabled = false;
    tell("Ready.");
    text.focus();
    await answer();
  } catch (error) {
    const why = location.protocol === "file:" ? "open it from a web server, as README.md shows" : error.message;
    tell("The model could not be loaded: " + why + ".", true);
  }
}

/** An element with a text. */
export function part(name, words = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = words;
  if (kind) made.className = kind;
  return made;
}

/** Rows of a head, a text and a share, as a table. */
export function table(rows, best = -1) {
  const made = part("table");
  rows.forEach(([head, words, share], number) => {
    const row = made.insertRow();
    if (number === best) row.className = "best";
    const first = part("th", head);
    first.scope = "row";
    row.append(first, ...(words === null ? [] : [part("td", words)]), part("td", share === null ? "" : percent(share), "share"));
  });
  return made;
}

/** A text with its spans marked, each `{ start, end, label }`. */
export function marked(said, spans) {
  const made = part("p", "", "text");
  let at = 0;
  for (const { start, end, label } of [...spans].sort((a, b) => a.start - b.start)) {
    const mark = part("mark", said.slice(start, end));
    mark.append(part("small", label));
    made.append(said.slice(at, start), mark);
    at = end;
  }
  made.append(said.slice(at));
  return made;
}

export const percent = (share) => (100 * share).toFixed(1) + " %";
