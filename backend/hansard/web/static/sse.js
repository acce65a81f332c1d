// Read server-sent events from an answer.

import { send } from "./api.js";

// Yield { name, id, data } for each event, its data as JSON; ends where the stream ends.
export async function* events(method, path, options = {}) {
  const answer = await send(method, path, { ...options, accept: "text/event-stream" });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) {
        const event = read(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function read(block) {
  const event = { name: "message", id: null, data: "" };
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (field === "event") event.name = value;
    else if (field === "id") event.id = value;
    else if (field === "data") event.data += value;
  }
  if (!event.data || event.data === "[DONE]") return null;
  return { ...event, data: JSON.parse(event.data) };
}
