// The chat: keeps the conversation, sends what the visitor writes, shows what comes back.

import { CallFailure, again, decide, feedback, freshId, history, kept, online, person, send, start } from "./connection.js";
import { icon, make, openDialog } from "./dom.js";
import * as messages from "./messages.js";
import { language, text } from "./texts.js";

const root = document.documentElement;
const settings = JSON.parse(root.dataset.settings);
const here = (id) => document.getElementById(id);
const composer = here("composer"), input = here("input"), sending = here("send"), state = here("state");
const POLL_PAUSE = 1500, RETRY_PAUSE = 5000, NEAR_LIMIT = 200;

let status = "open", busy = false, opened = true, newest = "", listening = null;
const seen = new Set();

// --- The words of the page, which its HTML leaves open.
here("title").textContent = settings.title;
for (const [id, name] of [["close", "close"], ["fresh", "fresh"], ["send", "send"]]) here(id).setAttribute("aria-label", text(name));
here("log").setAttribute("aria-label", text("log"));
input.placeholder = text("placeholder");
input.setAttribute("aria-label", text("label"));
input.maxLength = settings.longest + NEAR_LIMIT;
here("person").append(icon("person"), text("person"));
for (const [id, drawing] of [["close", "close"], ["fresh", "fresh"], ["send", "send"]]) here(id).append(icon(drawing));

function setStatus(now) {
  status = now;
  state.textContent = text(now === "with_person" ? "withPerson" : "subtitle");
  here("person").hidden = now !== "open";
  input.disabled = now === "closed";
  grow();
  if (now === "with_person") void listen();
  if (now === "closed") messages.notice(text("ended"), "status", " ", make("button", { type: "button", class: "link", onclick: renew }, text("fresh")));
}

function setBusy(now) {
  busy = now;
  grow();
}

// --- Showing turns, each of them once.
const acts = {
  decide: (call, yes) => answerCall(call, yes),
  async rate(turn, verdict, comment) {
    try {
      await again(() => feedback(turn, verdict, comment), () => {});
      return true;
    } catch (failure) {
      messages.notice(wordsOf(failure), "alert");
      return false;
    }
  },
};

function show(turn) {
  if (seen.has(turn.id)) return;
  seen.add(turn.id);
  newest = turn.id;
  const node = messages.turn(turn, acts);
  if (turn.author === "person" && !opened) tell({ desk: "unread" });
  return node;
}

function greet() {
  messages.greet(root.dataset.greeting || settings.greeting[language] || settings.greeting.en || Object.values(settings.greeting)[0] || "");
  if (settings.starters.length) {
    const chips = settings.starters.map((words) =>
      make("button", { type: "button", class: "starter", onclick: () => (here("log").focus(), void submit(words)) }, words));
    here("log").append(make("div", { class: "starters", role: "group", "aria-label": text("suggestions") }, chips));
  }
}

function withoutStarters() {
  document.querySelector(".starters")?.remove();
}

// --- Sending.
function wordsOf(failure) {
  if (!(failure instanceof CallFailure)) throw failure;
  if (failure.status === 429) return text("fast");
  if (failure.status === 403) return text("refused");
  if (failure.status === 413 || failure.code === "text_too_long") return text("long", { n: settings.longest });
  if ([0, 502, 503, 504].includes(failure.status)) return failure.status === 0 ? text("unsent") : text("busy");
  return text("failed");
}

/** Begin the conversation if need be, do some work in it; where it has ended meanwhile, begin another and do it there. */
async function inConversation(work) {
  await start(language);
  try {
    return await work();
  } catch (failure) {
    if (!(failure instanceof CallFailure) || failure.code !== "conversation_not_found") throw failure;
    kept.clear();
    await start(language);
    messages.notice(text("restarted"));
    return await work();
  }
}

async function submit(words, id = freshId(), shown = null) {
  if (busy) return;
  setBusy(true);
  withoutStarters();
  kept.write({ pending: { id, text: words } });
  const mine = shown ?? messages.outgoing(words);
  await exchange(
    (heard) => inConversation(() => send(id, words, heard)),
    mine,
    () => submit(words, id, mine),
    () => kept.write({ pending: null }),
  );
}

async function answerCall(call, yes) {
  if (busy) return false;
  setBusy(true);
  const mine = messages.outgoing(text(yes ? "yes" : "no"));
  return exchange((heard) => decide(call.id, yes, heard), mine, () => answerCall(call, yes), () => {}, true);
}

/** Send something and show its answer. Returns whether it arrived. */
async function exchange(work, mine, retry, arrived, once = false) {
  let writing = null, lost = null;
  const quiet = () => (writing?.end(), (writing = null));
  const heard = (name, told) => {
    lost?.remove();
    lost = null;
    if (name === "accepted") {
      messages.passCalls();
      mine.sent(told.turn);
      seen.add(told.turn.id);
      newest = told.turn.id;
    } else if (name === "status") writing ??= messages.incoming();
    else if (name === "text") (writing ??= messages.incoming()).add(told.text);
    else if (name === "turn") {
      quiet();
      show(told.turn);
    } else if (name === "end") {
      quiet();
      setStatus(told.status);
    }
  };
  try {
    await again(() => work(heard), () => {
      quiet();
      lost ??= messages.notice(text("lost"));
    });
    mine.sent();
    arrived();
    return true;
  } catch (failure) {
    quiet();
    const final = once && failure.status >= 400 && failure.status < 500 && failure.status !== 429;
    mine.failed(wordsOf(failure), final ? null : retry);
    return false;
  } finally {
    lost?.remove();
    setBusy(false);
    messages.scroll();
  }
}

// --- Answers of a person, which may come at any time.
async function listen() {
  if (listening) return;
  listening = new AbortController();
  const { signal } = listening;
  while (status === "with_person" && !signal.aborted) {
    try {
      const told = await history({ after: newest, wait: true }, signal);
      if (signal.aborted) return;
      if (!busy) {
        told.turns.forEach(show);
        if (told.status !== status) setStatus(told.status);
      }
      await online(told.turns.length ? 0 : POLL_PAUSE);
    } catch {
      if (!signal.aborted) await online(RETRY_PAUSE);
    }
  }
  listening = null;
}

// --- The composer.
function grow() {
  const left = settings.longest - input.value.length;
  input.style.height = "auto";
  input.style.height = `${Math.min(input.scrollHeight, 132)}px`;
  sending.disabled = busy || status === "closed" || input.value.trim() === "" || left < 0;
  here("left").textContent = left < NEAR_LIMIT ? text("left", { n: left }) : "";
}

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const words = input.value.trim();
  if (sending.disabled || words === "") return;
  input.value = "";
  grow();
  input.focus();
  void submit(words);
});
input.addEventListener("input", grow);
input.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composer.requestSubmit();
});

// --- A person, a new conversation, closing.
here("person").addEventListener("click", () => {
  const email = make("input", { type: "email", id: "email", autocomplete: "email", maxlength: "254", "aria-describedby": "email-problem" });
  const problem = make("p", { class: "problem", id: "email-problem", role: "alert" });
  const submitted = async (event) => {
    event.preventDefault();
    if (!email.checkValidity()) {
      problem.textContent = text("badEmail");
      email.focus();
      return;
    }
    go.disabled = true;
    try {
      withoutStarters();
      const told = await again(() => inConversation(() => person(email.value.trim())), () => (problem.textContent = text("lost")));
      dialog.close();
      told.turns.forEach(show);
      setStatus(told.status);
      input.focus();
    } catch (failure) {
      problem.textContent = failure instanceof CallFailure && failure.status === 422 ? text("badEmail") : wordsOf(failure);
      go.disabled = false;
    }
  };
  const go = make("button", { type: "submit", class: "strong" }, text("personSend"));
  const dialog = openDialog("person-title", "sheet", [
    make("form", { novalidate: true, onsubmit: submitted },
      make("h2", { id: "person-title" }, text("personTitle")),
      make("p", {}, text("personWords")),
      make("label", { for: "email" }, text("email")),
      email,
      problem,
      make("div", { class: "buttons" }, go, make("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, text("cancel")))),
  ]);
  email.focus();
});

function renew() {
  if (busy) return;
  listening?.abort();
  listening = null;
  kept.clear();
  seen.clear();
  newest = "";
  messages.clear();
  setStatus("open");
  greet();
  input.focus();
}
here("fresh").addEventListener("click", renew);

const framed = window.parent !== window;
function tell(message) {
  if (framed) window.parent.postMessage(message, "*"); // says no more than that something happened
}
here("close").hidden = !framed;
here("close").addEventListener("click", () => tell({ desk: "close" }));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) tell({ desk: "close" });
});
window.addEventListener("message", ({ source, data }) => {
  if (source !== window.parent || !framed || typeof data !== "object" || data === null) return;
  if (data.desk === "opened") {
    opened = true;
    if (data.focus) input.focus();
    messages.scroll(true);
  }
  if (data.desk === "closed") opened = false;
});

// --- The conversation of this visit goes on.
async function begin() {
  setStatus("open");
  const { id, pending } = kept.read();
  greet();
  if (id) {
    setBusy(true);
    try {
      const told = await again(() => history({ message: pending?.id }), () => {});
      if (told.turns.length) withoutStarters();
      told.turns.forEach(show);
      setStatus(told.status);
      if (told.known) kept.write({ pending: null });
    } catch (failure) {
      if (failure instanceof CallFailure && failure.code === "conversation_not_found") kept.clear();
      else messages.notice(wordsOf(failure), "alert");
    }
    setBusy(false);
  }
  const left = kept.value.pending;
  if (left) {
    withoutStarters();
    void submit(left.text, left.id);
  }
  messages.scroll(true);
  tell({ desk: "ready" });
}
void begin();
