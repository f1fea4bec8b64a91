// Sources, facts and questions under a reply: citations that open, order and product cards, the card that asks for a yes.

import { icon, link, make, openDialog, safeAddress } from "./dom.js";
import { text } from "./texts.js";

const site = JSON.parse(document.documentElement.dataset.settings).site ?? "";
const MOST_ITEMS = 12, MOST_ROWS = 16;
const PLACES = ["name", "price", "url", "image", "reason"];

/** The numbered sources of a reply; null without any. */
export function sources(citations) {
  if (!citations?.length) return null;
  const chips = citations.map((citation, at) =>
    make(
      "li",
      {},
      make(
        "button",
        {
          type: "button",
          class: "chip",
          "aria-haspopup": "dialog",
          onclick: () => openPassage(citation, at + 1),
        },
        make("span", { class: "hidden" }, `${text("source")} `),
        make("span", { class: "number" }, String(at + 1)),
        make("span", { class: "chip-title" }, lastHeading(citation) || citation.title),
        lastHeading(citation) ? make("span", { class: "hidden" }, `, ${citation.title}`) : null,
      ),
    ),
  );
  return make("ul", { class: "sources", "aria-label": text("sources") }, chips);
}

function lastHeading(citation) {
  return (citation.heading ?? "").split(" > ").pop();
}

/** The quoted passage: its document, its headings, the words marked, and a link to the page. */
function openPassage(citation, number) {
  const place = [...(citation.heading ? citation.heading.split(" > ") : []), ...(citation.page ? [text("page", { n: citation.page })] : [])];
  const dialog = openDialog("passage-title", "passage", [
    make("header", {}, make("span", { class: "number" }, String(number)), make("h2", { id: "passage-title" }, citation.title), closer()),
    place.length ? make("p", { class: "place" }, place.join(" › ")) : null,
    make("blockquote", { tabindex: "0" }, marked(citation)),
    link(citation.url, site, { class: "page" }, text("openPage"), icon("out"), make("span", { class: "hidden" }, ` ${text("newTab")}`)),
  ].filter(Boolean));
  dialog.querySelector("mark")?.scrollIntoView({ block: "center" });
}

function marked(citation) {
  const passage = citation.passage ?? "", at = passage.indexOf(citation.text);
  const mark = make("mark", {}, citation.text);
  return at < 0 ? [mark] : [passage.slice(0, at), mark, passage.slice(at + citation.text.length)];
}

function closer() {
  const close = (event) => event.currentTarget.closest("dialog").close();
  return make("button", { type: "button", class: "plain", "aria-label": text("shut"), onclick: close }, icon("close"));
}

/** A card of an order, of products or of other facts; without its title where the message above says the same. */
export function card(told, titled = true) {
  const items = told.items.slice(0, MOST_ITEMS);
  if (told.kind === "products") {
    return make("section", { class: "card products", "aria-label": told.title }, titled ? title("tag", told.title) : null, make("ul", {}, items.map(product)));
  }
  return make(
    "section",
    { class: "card facts", "aria-label": told.title },
    titled ? title(told.kind === "order" ? "box" : "quote", told.title) : null,
    items.map((item) => rows(item)),
  );
}

function title(drawing, words) {
  return make("h3", {}, icon(drawing), words);
}

function product(item) {
  const address = safeAddress(item.url, site, ["http:", "https:"]);
  const name = make("span", { class: "name" }, shown(item.name));
  return make(
    "li",
    {},
    picture(item),
    make(
      "div",
      { class: "about" },
      make("div", { class: "line" }, address ? link(address, site, {}, name, make("span", { class: "hidden" }, ` ${text("newTab")}`)) : name,
        item.price !== undefined ? make("span", { class: "price" }, shown(item.price)) : null),
      item.reason ? make("p", { class: "reason" }, shown(item.reason)) : null,
      rows(item, PLACES),
    ),
  );
}

function picture(item) {
  const source = safeAddress(item.image, site, ["https:", "http:", "data:"]);
  const tile = make("div", { class: "picture" }, icon("tag"));
  if (source) {
    const image = make("img", { src: source, alt: "", loading: "lazy", width: "64", height: "64", onload: () => tile.classList.add("filled") });
    image.addEventListener("error", () => image.remove());
    tile.append(image);
  }
  return tile;
}

function rows(item, without = []) {
  const found = Object.entries(item).filter(([name, value]) => !without.includes(name) && value !== null && value !== "").slice(0, MOST_ROWS);
  if (!found.length) return null;
  return make("dl", {}, found.map(([name, value]) => make("div", {}, make("dt", {}, labelled(name)), make("dd", {}, lines(value)))));
}

function labelled(name) {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

// A list is a line for each; an object names its values.
function lines(value) {
  if (!Array.isArray(value)) return [shown(value)];
  return value.slice(0, MOST_ROWS).map((one) => make("span", { class: "each" }, shown(one)));
}

function shown(value) {
  if (typeof value !== "object" || value === null) return String(value ?? "");
  if (Array.isArray(value)) return value.map(shown).join(", ");
  return Object.entries(value).map(([name, one]) => `${labelled(name)}: ${shown(one)}`).join(", ");
}

/** The card that asks for a yes: the call in words, every argument, and two buttons. `decide` is told the answer, once. */
export function consent(call, decide) {
  const said = make("p", { class: "said", role: "status" });
  const answer = (yes) => async () => {
    settle(yes);
    document.getElementById("log").focus(); // the pressed button is gone
    if (!(await decide(yes))) settle(null);
  };
  const yes = make("button", { type: "button", class: "strong", onclick: answer(true) }, text("yes"));
  const no = make("button", { type: "button", class: "quiet", onclick: answer(false) }, text("no"));
  const settle = (answered) => {
    yes.disabled = no.disabled = answered !== null;
    node.classList.toggle("settled", answered !== null);
    const words = { true: text("saidYes"), false: text("saidNo"), passed: text("passed") }[answered];
    said.replaceChildren(...(answered === null ? [] : [icon(answered === true ? "check" : "close"), words]));
  };
  const node = make(
    "section",
    { class: "card consent", "aria-label": text("confirm") },
    title("ask", text("confirm")),
    make("p", { class: "words" }, call.words),
    rows(call.arguments ?? {}),
    make("div", { class: "buttons" }, yes, no),
    said,
  );
  node.addEventListener("passed", () => yes.disabled || settle("passed"));
  if (typeof call.decided === "boolean") settle(call.decided);
  else if (!call.waits) settle("passed");
  return node;
}
