// Calls of the desk's server. The conversation's id and token stay in this tab: they end with the visit.

const root = document.documentElement;
const BASE = `/desk/${encodeURIComponent(root.dataset.desk)}/conversations`;
const KEPT = `smidgen-desk:${root.dataset.desk}`;
const TRIES = 5, FIRST_WAIT = 800, LONGEST_WAIT = 8000;
const SILENCE = 45_000;
/** Milliseconds without a sign of life after which an answer counts as lost. The server gives one every few seconds. */

/** A call that the server refused, or that did not reach it. `status` is 0 without an answer. */
export class CallFailure extends Error {
  constructor(status, code = "", said = "") {
    super(said || code || "no connection");
    this.status = status;
    this.code = code;
  }
}

/** A name for a message that stays the same when it is sent again. */
export function freshId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What this tab keeps: `id` and `token` of the conversation, and `pending`, a message that the server has not confirmed. */
export const kept = {
  value: {},
  read() {
    try {
      this.value = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") ?? {};
    } catch {
      this.value = {};
    }
    return this.value;
  },
  write(change) {
    this.value = { ...this.value, ...change };
    try {
      sessionStorage.setItem(KEPT, JSON.stringify(this.value));
    } catch {
      // A browser that keeps nothing: the conversation ends with this page.
    }
  },
  clear() {
    this.value = {};
    try {
      sessionStorage.removeItem(KEPT);
    } catch {
      // Nothing was kept.
    }
  },
};

async function call(method, path, body, signal) {
  const headers = { "content-type": "application/json" };
  if (kept.value.token) headers["x-smidgen-conversation"] = kept.value.token;
  let response;
  try {
    response = await fetch(BASE + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      credentials: "omit",
      cache: "no-store",
    });
  } catch {
    throw new CallFailure(0);
  }
  if (response.ok) return response;
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch {
    error = {};
  }
  throw new CallFailure(response.status, error.code, error.message);
}

const own = () => `/${encodeURIComponent(kept.value.id)}`;

/** Begin a conversation, if there is none. */
export async function start(language) {
  if (kept.value.id) return;
  const begun = await (await call("POST", "", { language })).json();
  kept.write({ id: begun.id, token: begun.token });
}

/** The conversation's turns after one, and its status. With `wait`, the answer comes when there is something new, or after some seconds.
 * `known` says whether a message of this id has arrived. */
export async function history({ after = "", message = "", wait = false }, signal = undefined) {
  const query = new URLSearchParams({ ...(after && { after }), ...(message && { message }), ...(wait && { wait: "true" }) });
  return (await call("GET", `${own()}${query.size ? `?${query}` : ""}`, undefined, signal)).json();
}

/** Send a message, and tell the events of its answer as they come. */
export async function send(message, text, heard) {
  await streamed("/messages", { id: message, text }, heard);
}

/** Say yes or no to a proposed call. */
export async function decide(id, yes, heard) {
  await streamed(`/calls/${encodeURIComponent(id)}`, { yes }, heard);
}

/** A thumb on a turn, with a comment or without. */
export async function feedback(turn, verdict, comment = "") {
  await call("POST", `${own()}/turns/${encodeURIComponent(turn)}/feedback`, { verdict, comment });
}

/** Pass the conversation to a person. */
export async function person(email) {
  return (await call("POST", `${own()}/person`, { email })).json();
}

/** Do some work; where the connection is lost, again after a while. The work must be safe to repeat. `lost` hears of it. */
export async function again(work, lost) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (failure) {
      if (!(failure instanceof CallFailure) || ![0, 502, 503, 504].includes(failure.status) || attempt === TRIES) throw failure;
      lost(failure);
      await online(Math.min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT));
    }
  }
}

/** Wait so long, or until the device is connected again. */
export function online(milliseconds) {
  return new Promise((done) => {
    const timer = setTimeout(done, milliseconds);
    window.addEventListener("online", () => (clearTimeout(timer), done()), { once: true });
  });
}

async function streamed(path, body, heard) {
  const stop = new AbortController();
  let silence = setTimeout(() => stop.abort(), SILENCE), over = false;
  try {
    const response = await call("POST", own() + path, body, stop.signal);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      clearTimeout(silence);
      silence = setTimeout(() => stop.abort(), SILENCE);
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const event of events) over = tell(event, heard) || over;
    }
  } catch (failure) {
    throw failure instanceof CallFailure ? failure : new CallFailure(0);
  } finally {
    clearTimeout(silence);
  }
  if (!over) throw new CallFailure(0); // cut off before the end
}

// Tell one event; whether it is the last one.
function tell(event, heard) {
  let name = "", data = "";
  for (const line of event.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (name === "") return false;
  const told = JSON.parse(data);
  if (name === "error") throw new CallFailure(told.status ?? 500, told.error?.code, told.error?.message);
  heard(name, told);
  return name === "end";
}
