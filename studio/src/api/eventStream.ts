export interface StreamEvent {
  event: string;
  data: unknown;
}

/** The whole events at the start of a text of server-sent events, and the rest of it. */
export function takeEvents(text: string): [StreamEvent[], string] {
  const blocks = text.split("\n\n");
  const rest = blocks.pop() ?? "";
  const events = blocks.flatMap((block) => {
    const lines = block.split("\n");
    const field = (name: string) => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
    const data = field("data").join("\n");
    return data ? [{ event: field("event")[0] ?? "message", data: JSON.parse(data) as unknown }] : [];
  });
  return [events, rest];
}

/** The events of an answer that is still being sent. */
export async function* readEvents(stream: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const [events, left] = takeEvents(rest + decoder.decode(value, { stream: true }));
      rest = left;
      yield* events;
    }
  } finally {
    void reader.cancel();
  }
}
