// Show a conversation's items in order: a window that grows where one scrolls, and holds on to the end.

import { conversationPath, get } from "./api.js";
import { $, el } from "./dom.js";
import { answer, isOutput, isReply, show, textOf } from "./item.js";
import { parse } from "./markdown.js";

const PAGE = 40;
const MOST = 400; // shown at once; those farthest away make room, at a message of the user's
const NEAR = 1200; // pixels from an edge at which the next page is asked for

export class Thread {
  #id;
  #nodes = new Map(); // item id -> node
  #calls = new Map(); // call id -> node
  #unstored = new Set(); // ids of what a running turn says: nothing can be listed from there
  #older = false;
  #newer = false;
  #loading = false;
  #pinned = true;
  #held = null;
  #top = 0;
  #high = 0;
  #tail = null;
  #stop = new AbortController();

  // `reopened` hears when the end was loaded anew.
  constructor(id, { reopened }) {
    this.#id = id;
    this.reopened = reopened;
    this.box = $("thread");
    this.list = $("items");
    const { signal } = this.#stop;
    this.box.addEventListener("scroll", () => this.#scrolled(), { signal, passive: true });
    $("to-end").addEventListener("click", () => this.toEnd(), { signal });
    for (const name of ["wheel", "touchmove", "pointerdown", "keydown"]) {
      this.box.addEventListener(name, () => (this.#held = null), { signal, passive: true });
    }
    const grown = new ResizeObserver(() => (this.#pinned ? this.#hold() : this.#held?.scrollIntoView({ block: "center" })));
    grown.observe(this.list);
    grown.observe(this.box);
    signal.addEventListener("abort", () => grown.disconnect());
  }

  close() {
    this.#stop.abort();
    this.#clear();
    $("to-end").hidden = true;
  }

  // The newest item that is shown, where following goes on; null while later ones are not loaded.
  get last() {
    return this.#newer ? null : this.#lastStored();
  }

  #lastStored() {
    return [...this.#nodes.keys()].findLast((id) => !this.#unstored.has(id)) ?? "";
  }

  // Show the end, or the surroundings of one item.
  async open(itemId = null) {
    const [older, newer, found] = itemId ? await this.#around(itemId) : [await this.#page("desc"), null, null];
    const items = [...older.data.reverse(), ...(found ? [found] : []), ...(newer?.data ?? [])];
    const nodes = await this.#build(items);
    if (this.#stop.signal.aborted) return;
    this.#clear();
    [this.#older, this.#newer] = [older.has_more, Boolean(newer?.has_more)];
    this.#insert(items, nodes, null);
    this.#pinned = !found;
    if (found) this.#reveal(itemId);
    else this.#hold();
    this.#edges();
  }

  async #around(itemId) {
    return Promise.all([
      this.#page("desc", itemId),
      this.#page("asc", itemId),
      get(conversationPath(this.#id, `/items/${itemId}`)),
    ]);
  }

  #page(order, after = null) {
    return get(conversationPath(this.#id, "/items"), { order, limit: PAGE, ...(after ? { after } : {}) });
  }

  async toEnd() {
    if (this.#newer) {
      await this.open();
      this.reopened();
    }
    this.#pinned = true;
    this.#hold();
  }

  // Bring in what was stored after the newest item shown here.
  async catchUp() {
    if (this.#newer) return;
    let page;
    do {
      page = await this.#page("asc", this.#lastStored());
      await this.put(page.data);
    } while (page.has_more && !this.#stop.signal.aborted);
  }

  // Put items at the end; of those that are here already only one that is still being said is shown anew.
  async put(items, { stored = true } = {}) {
    for (const { id } of items) stored ? this.#unstored.delete(id) : this.#unstored.add(id);
    const fresh = items.filter((item) => this.#nodes.get(item.id)?.classList.contains("live") ?? true);
    const nodes = await this.#build(fresh);
    if (this.#stop.signal.aborted || this.#newer) return;
    this.#insert(fresh, nodes, this.#tail);
    this.#trim(this.#pinned);
  }

  // Show an item that is being said, and return its node; null where the end is not shown.
  begin(item) {
    if (this.#newer) return null;
    this.#insert([item], [show(item)], this.#tail);
    const node = this.#nodes.get(item.id);
    this.#unstored.add(item.id);
    node.classList.add("live");
    return node;
  }

  // Whether what was said last waits for an answer, or for the rest of one.
  get unanswered() {
    const newest = this.#newest;
    return newest?.role === "user" || newest?.status === "incomplete";
  }

  // Whether nothing is missing for sure: an answer stands at the end, or nothing does.
  get answered() {
    const newest = this.#newest;
    return !newest || (newest.role === "assistant" && newest.status === "completed");
  }

  get #newest() {
    return this.#newer ? null : [...this.list.querySelectorAll(":scope > .item")].at(-1)?.dataset;
  }

  get tail() {
    return this.#tail;
  }

  // Show something after the last item: that somebody is at work, or that something went wrong.
  set tail(node) {
    this.#tail?.remove();
    this.#tail = node && el("li", { className: "tail" }, node);
    if (this.#tail && !this.#newer) this.list.append(this.#tail);
  }

  async #build(items) {
    const replies = items.filter(isReply);
    const trees = replies.length ? await parse(replies.map(textOf)) : [];
    return items.map((item) => show(item, isReply(item) ? trees[replies.indexOf(item)] : null));
  }

  #insert(items, nodes, before) {
    items.forEach((item, index) => {
      const known = this.#nodes.get(item.id);
      if (known) this.#replace(item, known, nodes[index]);
      else if (!this.#fold(item)) {
        this.list.insertBefore(nodes[index], before);
        this.#nodes.set(item.id, nodes[index]);
        if (item.call_id) this.#calls.set(item.call_id, nodes[index]);
      }
    });
  }

  #replace(item, known, node) {
    if (isOutput(item) && known.dataset.id !== item.id) return;
    known.replaceWith(node);
    this.#nodes.set(item.id, node);
    if (item.call_id) this.#calls.set(item.call_id, node);
  }

  // The output of a call that is shown belongs into the call.
  #fold(item) {
    const call = isOutput(item) ? this.#calls.get(item.call_id) : null;
    if (!call) return false;
    answer(call, item);
    this.#nodes.set(item.id, call);
    return true;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    const left = scrollHeight - scrollTop - clientHeight;
    // Going up lets go of the end, coming near it takes hold again. Where the box has another height, as when the
    // composer gave its place back, the browser moves what it shows, and nobody went up.
    const up = scrollTop < this.#top - 2;
    if (up && clientHeight === this.#high) this.#pinned = left < 4;
    else if (!up && left < 60) this.#pinned = !this.#newer;
    [this.#top, this.#high] = [scrollTop, clientHeight];
    $("to-end").hidden = !this.#newer && left < 300;
    if (scrollTop < NEAR) this.#grow("desc");
    else if (left < NEAR) this.#grow("asc");
  }

  #hold() {
    this.box.scrollTop = this.box.scrollHeight;
    [this.#top, this.#high] = [this.box.scrollTop, this.box.clientHeight];
  }

  #reveal(itemId) {
    // Held until somebody scrolls: how high its neighbours are is found out only when they come into sight.
    this.#held = this.#nodes.get(itemId);
    this.#held?.classList.add("found");
    this.#held?.scrollIntoView({ block: "center" });
  }

  async #grow(order) {
    const up = order === "desc";
    if (this.#loading || !(up ? this.#older : this.#newer)) return;
    this.#loading = true;
    try {
      const ids = [...this.#nodes.keys()];
      const page = await this.#page(order, up ? ids[0] : ids.at(-1));
      const items = up ? page.data.reverse() : page.data;
      const nodes = await this.#build(items);
      if (this.#stop.signal.aborted) return;
      if (up) this.#older = page.has_more;
      else this.#newer = page.has_more;
      this.#still(() => {
        if (up) this.#prepend(items, nodes);
        else this.#insert(items, nodes, this.#tail);
        this.#trim(!up);
      });
      this.#edges();
    } catch {
      // The next scroll tries again; that the server is away is said elsewhere.
    } finally {
      this.#loading = false;
    }
  }

  #prepend(items, nodes) {
    const [shown, calls] = [this.#nodes, this.#calls];
    [this.#nodes, this.#calls] = [new Map(), new Map()];
    this.#insert(items, nodes, this.list.firstChild);
    for (const [id, node] of shown) this.#nodes.set(id, node);
    for (const [callId, node] of calls) if (!this.#calls.has(callId)) this.#calls.set(callId, node);
  }

  // Change the list without moving what is read. Browsers do not hold on to it at the very top, and some never do.
  #still(change) {
    const line = this.box.getBoundingClientRect().top;
    const anchor = [...this.list.children].find((node) => node.getBoundingClientRect().bottom > line);
    const before = anchor?.getBoundingClientRect().top;
    this.box.classList.add("still");
    change();
    if (anchor?.isConnected) this.box.scrollTop += anchor.getBoundingClientRect().top - before;
    this.#top = this.box.scrollTop;
    this.box.classList.remove("still");
  }

  #trim(fromHead) {
    const nodes = [...this.list.querySelectorAll(":scope > .item")];
    const spare = nodes.length - MOST;
    if (spare < PAGE) return;
    // Cut where a turn begins, so that no call is parted from its output.
    const cut = fromHead
      ? nodes.findLastIndex((node, index) => index <= spare && node.dataset.role === "user")
      : nodes.findIndex((node, index) => index >= MOST && node.dataset.role === "user");
    if (cut < 1) return;
    const gone = new Set(fromHead ? nodes.slice(0, cut) : nodes.slice(cut));
    for (const map of [this.#nodes, this.#calls]) for (const [key, node] of map) if (gone.has(node)) map.delete(key);
    for (const node of gone) node.remove();
    if (fromHead) this.#older = true;
    else {
      this.#newer = true;
      this.#tail?.remove();
    }
  }

  #edges() {
    $("older").hidden = !this.#older;
    $("newer").hidden = !this.#newer;
    if (!this.#newer && this.#tail) this.list.append(this.#tail);
    $("welcome").hidden = true;
  }

  #clear() {
    this.list.replaceChildren();
    this.#nodes.clear();
    this.#calls.clear();
    this.#unstored.clear();
    this.#tail = null;
    $("older").hidden = $("newer").hidden = true;
  }
}
