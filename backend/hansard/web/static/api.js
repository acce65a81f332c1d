// Ask the HTTP API, and nobody else. Paths are relative: an application may have us below a path of its own.

const TIMEOUT_MS = 30_000;

// What went wrong, in words for the person; `status` is 0 when nothing came back at all.
export class ApiError extends Error {
  constructor(message, { status = 0, code = null } = {}) {
    super(message);
    this.status = status;
    this.code = code;
  }

  // Nothing is known of what became of the request, or it may work in a moment.
  get passing() {
    return this.status === 0 || this.status >= 500 || this.status === 429;
  }
}

const UNREACHABLE = "The server cannot be reached.";

export function onSignedOut(run) {
  document.addEventListener("signed-out", run);
}

// Return the answer once its head is there; the body may still be on its way.
export async function send(method, path, { body, key, accept = "application/json", signal } = {}) {
  const headers = { Accept: accept, "X-Hansard-CSRF": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, body: JSON.stringify(body), credentials: "same-origin" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(navigator.onLine ? UNREACHABLE : "You are offline.");
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

async function refusal(answer) {
  const told = await answer.json().catch(() => null);
  const error = new ApiError(told?.error?.message ?? `The server answered ${answer.status}.`, {
    status: answer.status,
    code: told?.error?.code,
  });
  if (error.status === 401) document.dispatchEvent(new CustomEvent("signed-out", { detail: error }));
  return error;
}

async function exchange(method, path, options = {}) {
  const late = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const answer = await send(method, path, { ...options, signal: late });
    return answer.status === 204 ? null : await answer.json();
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(UNREACHABLE);
  }
}

export const get = (path, query = null) => exchange("GET", query ? `${path}?${new URLSearchParams(query)}` : path);
export const post = (path, body = {}, options = {}) => exchange("POST", path, { ...options, body });
export const remove = (path) => exchange("DELETE", path);
export const conversationPath = (id, rest = "") => `v1/conversations/${encodeURIComponent(id)}${rest}`;
export const titleOf = (conversation) => conversation?.title ?? "New conversation";
