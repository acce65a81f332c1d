// Follow a stream of events, and come back where it broke off.

import { events } from "./sse.js";

const FIRST_MS = 300;
const LONGEST_MS = 8000;

// `query` gives the place to go on from, `take` gets each event, `linked` hears whether the server is there.
// Throws what trying again cannot cure.
export async function follow(path, { query, take, linked, signal }) {
  let pause = FIRST_MS;
  const opened = () => {
    pause = FIRST_MS;
    linked(true);
  };
  while (!signal.aborted) {
    try {
      for await (const event of events("GET", `${path}?${new URLSearchParams(query())}`, { signal, opened })) {
        take(event);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!error.passing) throw error;
      linked(false);
    }
    await wait(pause, signal);
    pause = Math.min(pause * 2, LONGEST_MS);
  }
}

// Whoever comes back online does not want to wait for the pause to end.
function wait(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
    signal.addEventListener("abort", done);
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
