// Read server-sent events from an answer.

import { ApiError, send } from "./api.js";

const SILENT_MS = 40_000; // the server says at least every 15 seconds that it is there

// Yield { name, id, data } for each event, its data as JSON; ends where the stream ends.
export async function* events(method, path, { signal, opened = () => {} }) {
  const answer = await send(method, path, { signal, accept: "text/event-stream" });
  opened();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await inTime(reader.read());
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = read(block);
        if (event) yield event;
      }
    }
  } catch (error) {
    throw error instanceof ApiError ? error : new ApiError("The connection broke off.");
  } finally {
    reader.cancel().catch(() => {});
  }
}

// A connection can die without a word.
async function inTime(reading) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(reject, SILENT_MS, new ApiError("The server is silent."));
  });
  try {
    return await Promise.race([reading, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function read(block) {
  const event = { name: "message", id: null, data: "" };
  for (const line of block.split("\n")) {
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (field === "event") event.name = value;
    else if (field === "id") event.id = value;
    else if (field === "data") event.data += value;
  }
  if (!event.data || event.data === "[DONE]") return null;
  return { ...event, data: JSON.parse(event.data) };
}
