// Look for messages, and show where the words stand.

import { get, titleOf } from "./api.js";
import { $, el } from "./dom.js";

const PAGE = 20;
const SPEAKERS = { user: "You", assistant: "Assistant" };

export class Search {
  #query = "";
  #cursor = null;
  #loading = false;

  constructor() {
    $("shelf").addEventListener("scroll", () => this.#reach(), { passive: true });
  }

  async find(text) {
    this.#query = text;
    this.#cursor = null;
    await this.#load("", (nodes) => $("results").replaceChildren(...nodes));
  }

  clear() {
    this.#query = "";
    this.#cursor = null;
    $("results").replaceChildren();
  }

  async #reach() {
    const { scrollTop, clientHeight, scrollHeight } = $("shelf");
    if (this.#loading || !this.#cursor || scrollHeight - scrollTop - clientHeight > 400) return;
    this.#loading = true;
    await this.#load(this.#cursor, (nodes) => $("results").append(...nodes));
    this.#loading = false;
  }

  async #load(after, place) {
    const query = this.#query;
    try {
      const page = await get("v1/search", { query: asTyped(query), limit: PAGE, ...(after ? { after } : {}) });
      // Somebody went on typing.
      if (query !== this.#query) return;
      this.#cursor = page.has_more ? page.last_id : null;
      place(page.data.map(found));
      $("shelf-note").textContent = page.data.length || after ? "" : "Nothing was found.";
    } catch (error) {
      if (query !== this.#query) return;
      if (!after) $("results").replaceChildren();
      $("shelf-note").textContent = error.message;
    }
  }
}

// The last word may not be whole yet.
const asTyped = (text) => (/[\p{L}\p{N}]$/u.test(text) ? `${text}*` : text);

function found(result) {
  const pieces = result.snippet.map(({ text, match }) => (match ? el("mark", { textContent: text }) : text));
  const title = el("strong", { dir: "auto", textContent: titleOf({ title: result.conversation_title }) });
  const speaker = `${SPEAKERS[result.role] ?? result.role ?? result.item_type.replaceAll("_", " ")}: `;
  const link = el("a", { href: `#/c/${result.conversation_id}/${result.item_id}` });
  link.append(title, el("span", { dir: "auto" }, speaker, ...pieces));
  return el("li", { className: "result" }, link);
}
