// Show a turn while it runs: its items grow as the events of the Responses API come in.

import { announce, el } from "./dom.js";
import { isReply, textOf, write } from "./item.js";
import { parse } from "./markdown.js";

const PARSE_MS = 350;
const COMING = "The answer is on its way";
const LONGEST = 30_000; // beyond, a growing text is parsed once, at its end
const ENDS = new Set(["response.completed", "response.failed", "response.incomplete"]);

export class Turn {
  #writers = new Map(); // output index -> writer
  #last = -1;

  // `ended` gets the response when the turn is over.
  constructor(thread, id, ended) {
    this.thread = thread;
    this.id = id;
    this.ended = ended;
    this.over = false;
    thread.tail = el("div", { className: "waiting", role: "img", "aria-label": COMING }, el("i"), el("i"), el("i"));
    announce(COMING);
  }

  get heard() {
    return this.#last >= 0;
  }

  // Whoever comes back after a break may get the last events again.
  async take(event) {
    if (event.sequence_number <= this.#last) return;
    this.#last = event.sequence_number ?? this.#last;
    const { type, output_index: index } = event;
    if (type === "response.output_item.added") this.#begin(index, event.item);
    else if (type === "response.output_text.delta" || type === "response.refusal.delta") this.#writers.get(index)?.add(event.delta);
    else if (type === "response.output_item.done") await this.#finish(index, event.item);
    else if (ENDS.has(type)) this.end(event.response);
  }

  end(response) {
    if (this.over) return;
    this.over = true;
    for (const writer of this.#writers.values()) writer.close();
    this.thread.tail = null;
    this.ended(response);
  }

  #begin(index, item) {
    const node = this.thread.begin(item);
    if (!node || !isReply(item)) return;
    this.thread.tail = null;
    this.#writers.set(index, new Writer(node, textOf(item)));
  }

  async #finish(index, item) {
    const writer = this.#writers.get(index);
    this.#writers.delete(index);
    writer?.close();
    await this.thread.put([item], { stored: false });
    if (isReply(item)) announce(`The assistant answered: ${textOf(item).slice(0, 300)}`);
  }
}

// Write a growing text: what was parsed as Markdown, and behind it what came since, as it is.
class Writer {
  #text = "";
  #parsed = 0;
  #rest = el("span", { className: "rest" });
  #timer = null;
  #closed = false;

  constructor(node, text) {
    this.body = node.querySelector(".text");
    this.body.classList.add("verbatim");
    this.body.replaceChildren(this.#rest);
    this.add(text);
  }

  add(delta) {
    this.#text += delta;
    this.#rest.append(delta);
    if (!this.#timer && this.#text.length < LONGEST) this.#timer = setTimeout(() => this.#parse(), PARSE_MS);
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#rest.classList.remove("rest");
  }

  async #parse() {
    const text = this.#text;
    const began = performance.now();
    const [tree] = await parse([text]);
    if (this.#closed) return;
    if (tree && !this.#selected()) {
      write(this.body, text, tree);
      this.#parsed = text.length;
      // Markdown drops the space at its end, but here the next word follows it.
      this.#rest.textContent = this.#text.slice(text.trimEnd().length);
      last(this.body).append(this.#rest);
    }
    this.#timer = null;
    // A slow server or a long text is asked less often.
    const pause = Math.max(PARSE_MS, 5 * (performance.now() - began));
    if (this.#parsed < this.#text.length) this.#timer = setTimeout(() => this.#parse(), pause);
  }

  // Somebody is marking these words: leave them under the pointer.
  #selected() {
    const selection = getSelection();
    return !selection.isCollapsed && this.body.contains(selection.anchorNode);
  }
}

// Where the words go on: in the last paragraph, item or heading.
function last(node) {
  const child = node.lastElementChild;
  return child && child === node.lastChild && child.matches("p, ul, ol, li, blockquote, h3, h4, h5, h6") ? last(child) : node;
}
