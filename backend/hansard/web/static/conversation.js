// One open conversation: what was said, the turn that runs, and what others add meanwhile.

import { conversationPath, get, post } from "./api.js";
import { toast } from "./dom.js";
import { notice } from "./item.js";
import { follow } from "./live.js";
import { Thread } from "./thread.js";
import { Turn } from "./turn.js";

const RUNNING = new Set(["queued", "in_progress"]);
const ENDED = {
  failed: (response) => `There is no answer: ${response.error?.message ?? "the assistant failed."}`,
  incomplete: () => "The answer broke off.",
  cancelled: () => "Stopped.",
};

export class Conversation {
  #turn = null;
  #stop = new AbortController();

  // `changed` hears of the conversation, `running` whether a turn runs, `linked` whether the server is there.
  constructor(id, told) {
    this.id = id;
    this.told = told;
    this.thread = new Thread(id);
  }

  async open(itemId = null) {
    const [conversation] = await Promise.all([get(conversationPath(this.id)), this.thread.open(itemId)]);
    if (this.#stop.signal.aborted) return;
    this.told.changed(conversation);
    this.#rest();
    this.#follow();
  }

  close() {
    this.#stop.abort();
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
      await post(`/v1/responses/${this.#turn.id}/cancel`);
    } catch (error) {
      toast(`Not stopped. ${error.message}`);
    }
  }

  // The turn runs on the server, whoever listens: it is begun, and then followed like everybody else's.
  async #begin(request, key) {
    const response = await post("/v1/responses", { ...request, conversation: this.id, background: true }, { key });
    this.thread.tail = null;
    await this.thread.catchUp();
    this.#run(response);
  }

  #run(response) {
    if (this.#turn?.id === response.id || this.#stop.signal.aborted) return;
    const turn = new Turn(this.thread, response.id, (ended) => this.#end(turn, ended));
    this.#turn = turn;
    this.told.running(true);
    if (RUNNING.has(response.status)) this.#listen(turn);
    else turn.end(response);
  }

  async #listen(turn) {
    try {
      await follow(`/v1/responses/${turn.id}`, {
        query: () => (turn.last < 0 ? { stream: true } : { stream: true, starting_after: turn.last }),
        take: ({ data }) => (turn.take(data), turn.over),
        linked: this.told.linked,
        signal: this.#stop.signal,
      });
    } catch {
      // Its events are not kept for ever; what it said is.
      const response = await get(`/v1/responses/${turn.id}`).catch(() => ({ status: "completed" }));
      await this.thread.catchUp();
      turn.end(response);
    }
  }

  #end(turn, response) {
    if (this.#turn !== turn) return;
    this.#turn = null;
    this.told.running(false);
    this.#rest(ENDED[response.status]?.(response));
    this.#refresh();
  }

  // Say what is missing when nothing runs: an answer, or the rest of one.
  #rest(text = this.thread.unanswered ? "There is no complete answer to this." : null) {
    if (this.#turn) return;
    this.thread.tail = text ? notice(text, { label: "Try again", run: () => this.retry() }) : null;
  }

  // A title is made from the first message, and every turn moves the conversation up.
  async #refresh() {
    const conversation = await get(conversationPath(this.id)).catch(() => null);
    if (conversation && !this.#stop.signal.aborted) this.told.changed(conversation);
  }

  #follow() {}
}
