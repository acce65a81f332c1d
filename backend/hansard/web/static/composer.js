// Write a message: its length, its draft, and the keys that send it.

import { $, announce, composing } from "./dom.js";

const LIMIT = 10_000;
const NEAR = 9_000;
const GROWS = CSS.supports("field-sizing", "content"); // by itself
const number = new Intl.NumberFormat();

// A draft survives reload, restart and a closed tab. It goes only when the server has the message.
export class Drafts {
  // While nobody knows whose they are, drafts are not kept.
  constructor(userId = null) {
    this.prefix = userId === null ? null : `hansard:${userId}:`;
  }

  get(place) {
    if (this.prefix === null) return { text: "" };
    try {
      return JSON.parse(localStorage.getItem(this.prefix + place)) ?? { text: "" };
    } catch {
      return { text: "" };
    }
  }

  // `key` makes sending the same draft again the same message, also after a reload.
  set(place, draft) {
    if (this.prefix === null) return;
    try {
      if (draft.text) localStorage.setItem(this.prefix + place, JSON.stringify(draft));
      else localStorage.removeItem(this.prefix + place);
    } catch {
      // A browser that keeps nothing, or is full: the text is still in the box.
    }
  }
}

export class Composer {
  #place = "new";
  #running = false;
  #busy = false;
  #key = null;

  // `submit` gets the text and an idempotency key; it returns the conversation that has the message, or nothing.
  constructor({ submit, stop }) {
    this.box = $("text");
    this.submit = submit;
    this.drafts = new Drafts();
    $("composer").addEventListener("submit", (event) => (event.preventDefault(), this.#send()));
    $("stop").addEventListener("click", stop);
    this.box.addEventListener("input", () => this.#changed());
    this.box.addEventListener("keydown", (event) => this.#pressed(event));
    // Another tab wrote or sent this draft; what somebody is writing here is not touched.
    addEventListener("storage", () => document.hasFocus() || this.#busy || this.#load());
  }

  set user(userId) {
    this.drafts = new Drafts(userId);
    // Somebody may have begun to write before it was known who they are.
    if (this.box.value) this.drafts.set(this.#place, { text: this.box.value, key: this.#key });
    else this.#load();
  }

  set place(place) {
    this.#place = place ?? "new";
    this.#load();
  }

  set running(running) {
    this.#running = running;
    const held = $("composer").contains(document.activeElement);
    $("stop").hidden = !running;
    $("send").hidden = running;
    this.#weigh();
    if (held) this.focus();
  }

  // The message on its way begins a conversation: its draft belongs there from now on.
  rehome(place) {
    this.drafts.set(place, this.drafts.get("new"));
    this.drafts.set("new", { text: "" });
    if (this.#place === "new") this.#place = place;
  }

  // A conversation is gone: what was being written in it may begin another.
  adopt(place) {
    const { text } = this.drafts.get(place);
    this.drafts.set(place, { text: "" });
    if (text && !this.drafts.get("new").text) this.drafts.set("new", { text });
  }

  write(text) {
    this.box.value = text;
    this.#changed();
    this.focus();
  }

  focus() {
    this.box.focus();
  }

  #load() {
    const draft = this.drafts.get(this.#place);
    this.#key = draft.key ?? null;
    if (this.box.value !== draft.text) this.box.value = draft.text;
    this.#weigh();
  }

  #changed() {
    this.#key = null;
    this.drafts.set(this.#place, { text: this.box.value });
    this.#weigh();
  }

  #weigh() {
    const text = this.box.value;
    // Counted as the server counts: in code points.
    const length = [...text].length;
    const over = length > LIMIT;
    $("count").className = over ? "count over" : length >= NEAR ? "count near" : "count";
    $("count").textContent = text ? `${number.format(length)} / ${number.format(LIMIT)}` : "";
    if (over && this.box.ariaInvalid !== "true") announce(`The message is longer than ${LIMIT} characters.`);
    this.box.ariaInvalid = String(over);
    $("send").disabled = over || this.#busy || !text.trim();
    if (!GROWS) this.#grow();
  }

  #grow() {
    this.box.style.height = "auto";
    this.box.style.height = `${this.box.scrollHeight}px`;
  }

  #pressed(event) {
    if (event.key !== "Enter" || event.shiftKey || composing(event)) return;
    // On a touch keyboard Enter is the only way to a new line.
    if (matchMedia("(hover: none) and (pointer: coarse)").matches) return;
    event.preventDefault();
    this.#send();
  }

  // The text stays in the box until the server has it, so there is no moment at which it could be lost.
  async #send() {
    if ($("send").disabled || this.#running) return;
    const text = this.box.value;
    const place = this.#place;
    const key = this.#key ?? newKey();
    this.#key = key;
    this.drafts.set(place, { text, key });
    this.#engage(true);
    try {
      const home = await this.submit(text, key);
      for (const at of home ? [place, home] : []) this.#forget(at, key);
    } finally {
      this.#engage(false);
      this.#load();
    }
  }

  #engage(busy) {
    this.#busy = busy;
    this.box.readOnly = busy;
    $("composer").ariaBusy = String(busy);
    this.#weigh();
  }

  #forget(place, key) {
    if (this.drafts.get(place).key === key) this.drafts.set(place, { text: "" });
  }
}

function newKey() {
  // randomUUID is missing where the page is served without TLS to another machine.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
