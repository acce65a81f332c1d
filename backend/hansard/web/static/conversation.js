// One open conversation: what was said, the turn that runs, and what others add meanwhile.

import { conversationPath, get, post } from "./api.js";
import { toast } from "./dom.js";
import { notice } from "./item.js";
import { Thread } from "./thread.js";
import { Turn } from "./turn.js";

const RUNNING = new Set(["queued", "in_progress"]);
const ENDED = {
  failed: (response) => `No answer: ${response.error?.message ?? "the assistant failed."}`,
  incomplete: (response) => `The answer broke off (${response.incomplete_details?.reason ?? "interrupted"}).`,
  cancelled: () => "Stopped.",
};

export class Conversation {
  #turn = null;
  #stop = new AbortController();

  // `changed` hears of the conversation, `running` whether a turn runs, `linked` whether the server is there.
  constructor(id, { changed, running, linked }) {
    this.id = id;
    this.told = { changed, running, linked };
    this.thread = new Thread(id);
  }

  async open(itemId = null) {
    const [conversation] = await Promise.all([get(conversationPath(this.id)), this.thread.open(itemId)]);
    this.told.changed(conversation);
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

  async #begin(request, key) {
    const response = await post("/v1/responses", { ...request, conversation: this.id }, { key });
    this.thread.tail = null;
    await this.thread.catchUp();
    this.#run(response);
  }

  #run(response) {
    if (!RUNNING.has(response.status)) return this.#end(response);
    if (this.#turn?.id === response.id) return;
    this.#turn = new Turn(this.thread, response.id, (ended) => this.#end(ended));
    this.told.running(true);
  }

  // Say how a turn ended when it did not end well; what it said until then is in the thread.
  #end(response) {
    this.#turn = null;
    this.told.running(false);
    const again = { label: "Try again", run: () => this.retry() };
    const text = ENDED[response.status]?.(response);
    this.thread.tail = text ? notice(text, again) : null;
    this.#refresh();
  }

  // A title is made from the first message.
  async #refresh() {
    const conversation = await get(conversationPath(this.id)).catch(() => null);
    if (conversation && !this.#stop.signal.aborted) this.told.changed(conversation);
  }

  #follow() {}
}
