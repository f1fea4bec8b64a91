// The list of messages: what was said, by whom, with what stands under it.

import { card, consent, sources } from "./cards.js";
import { icon, make } from "./dom.js";
import { language, text } from "./texts.js";

const list = document.getElementById("log");
const RATED = new Set(["answered", "done", "failed", "unanswered", "asked"]);
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const NEAR = 120;

/** Scroll to the newest message, unless the visitor reads further up. */
export function scroll(always = false) {
  const below = list.scrollHeight - list.scrollTop - list.clientHeight;
  if (always || below < NEAR + (list.lastElementChild?.offsetHeight ?? 0)) list.scrollTop = list.scrollHeight;
}

/** Take all messages away. */
export function clear() {
  list.replaceChildren();
}

function put(node, always = false) {
  list.append(node);
  scroll(always);
  return node;
}

function said(author, words) {
  const name = { customer: text("you"), desk: text("desk"), person: text("staff") }[author];
  return make("article", { class: `message ${author}` },
    author === "person" ? make("p", { class: "author" }, icon("person"), name) : make("p", { class: "hidden" }, `${name}:`),
    make("p", { class: "bubble" }, words));
}

/** The first words. */
export function greet(words) {
  return put(said("desk", words));
}

/** A message of the customer that is on its way. `failed(words, retry)` shows that it was not sent. */
export function outgoing(words) {
  const node = put(said("customer", words), true);
  node.classList.add("sending");
  return {
    node,
    sent(turn) {
      node.classList.remove("sending", "unsent");
      node.querySelector(".problem")?.remove();
      if (turn) note(node, turn);
    },
    failed(words, retry) {
      node.querySelector(".problem")?.remove();
      node.classList.add("unsent");
      const again = make("button", { type: "button", class: "link", onclick: () => (node.querySelector(".problem")?.remove(), retry()) }, text("retry"));
      node.append(make("p", { class: "problem", role: "alert" }, words, " ", retry ? again : ""));
      scroll();
    },
  };
}

/** A card that asks for a yes is no longer open once something else was written. */
export function passCalls() {
  for (const node of list.querySelectorAll(".consent")) node.dispatchEvent(new Event("passed"));
}

/** The sign that an answer is being written, and its words as they come. */
export function incoming() {
  const dots = make("p", { class: "bubble dots" }, make("span", { class: "hidden" }, text("typing")), make("i"), make("i"), make("i"));
  const node = put(make("article", { class: "message desk typing", "aria-live": "off" }, dots));
  const bubble = make("p", { class: "bubble" });
  return {
    add(words) {
      if (dots.isConnected) dots.replaceWith(bubble);
      bubble.append(make("span", { class: "arriving" }, words));
      scroll();
    },
    end() {
      node.remove();
    },
  };
}

function note(node, turn) {
  node.dataset.turn = turn.id;
  node.title = clock.format(new Date(turn.time));
}

/** A turn as it is stored. `acts` has `decide(call, yes)` and `rate(turn, verdict, comment)`. */
export function turn(told, acts) {
  const node = said(told.author, told.text);
  note(node, told);
  const reply = told.reply;
  if (reply) {
    node.append(...[sources(reply.citations), ...(reply.cards ?? []).map((one) => card(one, one.title !== told.text))].filter(Boolean));
    if (reply.call) node.append(consent(reply.call, (yes) => acts.decide(reply.call, yes)));
    if (RATED.has(reply.outcome)) node.append(thumbs(told, acts.rate));
  }
  put(node, told.author === "customer");
  // What is taller than the window is read from its beginning.
  if (node.offsetHeight > list.clientHeight - NEAR && list.scrollTop > node.offsetTop) list.scrollTop = node.offsetTop - 12;
  return node;
}

/** A line of the chat's own between the messages. */
export function notice(words, role = "status", ...further) {
  return put(make("p", { class: "notice", role }, words, ...further));
}

function thumbs(told, rate) {
  const state = { verdict: told.thumb ?? null };
  const buttons = ["up", "down"].map((verdict) =>
    make("button", {
      type: "button",
      class: "plain thumb",
      "aria-label": text(verdict === "up" ? "helpful" : "unhelpful"),
      "aria-pressed": String(state.verdict === verdict),
      onclick: () => choose(verdict),
    }, icon(verdict)));
  const under = make("div", { class: "under" });
  const node = make("div", { class: "thumbs" }, buttons, under);
  async function choose(verdict) {
    if (!(await rate(told.id, verdict, ""))) return;
    state.verdict = verdict;
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(["up", "down"][at] === verdict)));
    under.replaceChildren(verdict === "up" ? thanks() : form());
    scroll();
  }
  function thanks() {
    return make("p", { class: "small", role: "status" }, text("thanks"));
  }
  function form() {
    const input = make("input", { type: "text", maxlength: "1000", "aria-label": text("comment"), placeholder: text("comment") });
    const submitted = async (event) => {
      event.preventDefault();
      if (input.value.trim() === "" || (await rate(told.id, "down", input.value.trim()))) {
        under.replaceChildren(thanks());
        buttons[1].focus();
      }
    };
    return make("form", { class: "wrong", onsubmit: submitted }, make("p", { class: "small", role: "status" }, text("whatWrong")),
      make("div", {}, input, make("button", { type: "submit", class: "quiet" }, text("give"))));
  }
  return node;
}
