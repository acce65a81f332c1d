// One open conversation: what was said, the turn that runs, and what others add meanwhile.

import { conversationPath, get, post } from "./api.js";
import { announce, toast } from "./dom.js";
import { notice } from "./item.js";
import { follow } from "./live.js";
import { Thread } from "./thread.js";
import { Turn } from "./turn.js";

const QUIET_MS = 800; // a turn that runs tells of itself sooner
const DOUBT_MS = 2000;
const RUNNING = new Set(["queued", "in_progress"]);
const BEGINNINGS = new Set(["response.created", "response.queued", "response.in_progress"]);
const LIMITS = { max_output_tokens: "It reached the limit of its length.", content_filter: "A filter stopped it." };
const ENDED = {
  failed: (response) => `There is no answer: ${response.error?.message ?? "the assistant failed."}`,
  incomplete: ({ incomplete_details: why }) =>
    ["The answer broke off.", why?.message ?? LIMITS[why?.reason]].filter(Boolean).join(" "),
  cancelled: () => "Stopped.",
};

export class Conversation {
  #turn = null;
  #ended = null; // the last turn's id: what is said of it late begins nothing
  #cursor = null; // how much of the live view was seen
  #paused = false; // the server does not look for news any more until somebody is there again
  #view = null; // what ends the live view
  #order = Promise.resolve();
  #stop = new AbortController();

  // `changed` hears of the conversation, `gone` when it was deleted, `running` whether a turn runs, `linked` whether
  // the server is there.
  constructor(id, told) {
    this.id = id;
    this.told = told;
    this.thread = new Thread(id, { reopened: () => this.#restart() });
    const { signal } = this.#stop;
    for (const name of ["visibilitychange", "focus"]) addEventListener(name, () => this.#attend(), { signal });
  }

  async open(itemId = null) {
    await this.thread.open(itemId);
    if (this.#stop.signal.aborted) return;
    this.#follow();
    setTimeout(() => this.#ask(), QUIET_MS);
  }

  close() {
    this.#stop.abort();
    this.#view?.abort();
    this.#turn = null;
    this.thread.close();
    this.told.running(false);
  }

  // Return once the server has the message.
  async send(text, key) {
    await this.thread.toEnd();
    await this.#begin({ input: [{ role: "user", content: text }] }, key);
  }

  async retry() {
    try {
      await this.#begin({ input: [] });
    } catch (error) {
      toast(error.message);
    }
  }

  async stop() {
    if (!this.#turn) return;
    try {
      await post(`v1/responses/${this.#turn.id}/cancel`);
    } catch (error) {
      toast(`Not stopped. ${error.message}`);
    }
  }

  // The turn runs on the server, whoever listens: it is begun, and then followed like everybody else's.
  async #begin(request, key) {
    const response = await post("v1/responses", { ...request, conversation: this.id, background: true }, { key });
    this.#next(async () => {
      await this.thread.catchUp();
      this.#run(response);
    });
    if (this.#paused) this.#follow();
  }

  #run(response) {
    if ([this.#turn?.id, this.#ended].includes(response.id)) return;
    if (!RUNNING.has(response.status) || this.#stop.signal.aborted) return;
    const turn = new Turn(this.thread, response.id, (ended) => this.#end(turn, ended));
    this.#turn = turn;
    this.told.running(true);
    setTimeout(() => this.#doubt(turn), DOUBT_MS);
  }

  // A turn that ended before the view looked is told by its items alone; one that failed at once has none.
  async #doubt(turn) {
    if (this.#turn !== turn || turn.heard) return;
    await this.#check();
    setTimeout(() => this.#doubt(turn), DOUBT_MS);
  }

  #end(turn, response) {
    if (this.#turn !== turn) return;
    this.#turn = null;
    this.#ended = turn.id;
    this.told.running(false);
    this.#rest(response);
    if (ENDED[response.status]) announce(ENDED[response.status](response));
  }

  // Whoever was not here when the last turn ended asks what became of it, where its answer is not all there.
  async #ask() {
    if (this.#turn || this.thread.tail || this.thread.answered || this.#stop.signal.aborted) return;
    const found = await get(conversationPath(this.id), { "include[]": "last_response" }).catch(() => null);
    if (!found || this.thread.tail || this.thread.answered) return;
    const last = found.last_response;
    if (RUNNING.has(last?.status)) this.#next(() => this.#run(last));
    else this.#rest(last);
  }

  // Say why something is missing when nothing runs: an answer, or the rest of one.
  #rest(response) {
    if (this.#turn || this.#stop.signal.aborted) return;
    const missing = this.thread.unanswered ? "There is no complete answer to this." : null;
    const text = ENDED[response?.status]?.(response) ?? missing;
    const action = { label: "Try again", run: () => this.retry() };
    this.thread.tail = text && notice(text, { action, calm: response?.status === "cancelled" });
  }

  // A hidden tab needs no connection: a browser has few for each server. Who comes back goes on where they were.
  #attend() {
    if (document.hidden) this.#view?.abort();
    else if (this.#paused || this.#view?.signal.aborted) this.#follow();
  }

  // Hear everything after what is shown, a running turn from its beginning.
  #restart() {
    this.#turn = null;
    this.#cursor = null;
    this.told.running(false);
    this.#follow();
  }

  async #follow() {
    this.#view?.abort();
    const view = new AbortController();
    this.#view = view;
    this.#paused = false;
    this.#cursor ??= this.thread.last;
    try {
      await follow(conversationPath(this.id, "/events"), {
        query: () => (this.#cursor === null ? {} : { after: this.#cursor || "0" }),
        take: (event) => this.#next(() => view.signal.aborted || this.#take(event)),
        linked: (linked) => (this.told.linked(linked), linked && this.#check()),
        signal: view.signal,
      });
    } catch (error) {
      if (error.status === 404) this.told.gone(this.id);
      else if (error.status !== 401) toast(error.message);
    }
  }

  // One after the other: to show an item takes a moment, and what is said next belongs behind it.
  #next(run) {
    this.#order = this.#order.then(run).catch((error) => toast(error.message));
  }

  async #take({ id, data }) {
    this.#cursor = id ?? this.#cursor;
    if (data.type === "item.added") await this.thread.put([data.item]);
    else if (data.type === "conversation.updated") this.told.changed(data.conversation);
    else if (data.type === "items.deleted") await this.thread.open().then(() => this.#restart());
    else if (data.type === "view.paused") this.#paused = true;
    else if (data.type === "conversation.deleted") this.told.gone(this.id);
    else if (data.response_id) await this.#hear(data);
  }

  async #hear(event) {
    if (BEGINNINGS.has(event.type)) this.#run(event.response);
    if (event.response_id === this.#turn?.id) await this.#turn.take(event);
  }

  // Events are not kept for ever: a turn may have ended unheard while the server could not be reached.
  async #check() {
    const turn = this.#turn;
    if (!turn) return;
    const response = await get(`v1/responses/${turn.id}`).catch(() => null);
    if (!response || RUNNING.has(response.status) || turn.over) return;
    this.#next(async () => {
      await this.thread.catchUp();
      turn.end(response);
    });
  }
}
