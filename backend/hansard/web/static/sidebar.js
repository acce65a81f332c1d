// List conversations by recent activity, or what a search found in them.

import { conversationPath, get, post, remove, titleOf } from "./api.js";
import { $, ask, composing, el, icon, settle, toast } from "./dom.js";

const PAGE = 30;
const SEARCH_MS = 250;
const DAY = 86_400_000;
const TITLE_LIMIT = 255;

export class Sidebar {
  #rows = new Map(); // id -> { conversation, node }, in the order of the list
  #cursor = ""; // where the next page starts; null when there is none
  #archived = false;
  #query = "";
  #current = null;
  #loading = null;
  #search = null;
  #chosen = null;

  // `changed` hears of what happened to a conversation here: { conversation } or { gone: id }.
  constructor({ changed }) {
    this.changed = changed;
    this.list = $("conversations");
    $("view-active").addEventListener("click", () => this.#show(false));
    $("view-archived").addEventListener("click", () => this.#show(true));
    $("query").addEventListener("input", settle(SEARCH_MS, () => this.#find()));
    $("search").addEventListener("submit", (event) => (event.preventDefault(), this.#find()));
    $("shelf").addEventListener("scroll", () => this.#reach(), { passive: true });
    $("menu").addEventListener("click", (event) => this.#choose(event.target.closest("button")));
    this.list.addEventListener("keydown", (event) => this.#walk(event));
  }

  set current(id) {
    this.#current = id;
    for (const [key, row] of this.#rows) mark(row.node, key === id);
  }

  get current() {
    return this.#current;
  }

  find(id) {
    return this.#rows.get(id)?.conversation;
  }

  // Bring the newest page up to date, and keep what was loaded below it.
  async refresh() {
    const archived = this.#archived;
    const page = await get("v1/conversations", { limit: PAGE, archived });
    if (archived !== this.#archived) return;
    const last = page.data.at(-1);
    const below = page.has_more
      ? this.#all().filter((one) => one.last_message_at < last.last_message_at)
      : [];
    if (!below.length) this.#cursor = page.has_more ? page.last_id : null;
    const fresh = new Set(page.data.map((one) => one.id));
    this.#fill([...page.data, ...below.filter((one) => !fresh.has(one.id))]);
  }

  // Put in what just happened to one conversation, without asking for the list.
  put(conversation) {
    const listed = (conversation.archived_at !== null) === this.#archived;
    const known = this.find(conversation.id);
    if (listed && known?.last_message_at === conversation.last_message_at) {
      return this.#fill(this.#all().map((one) => (one === known ? conversation : one)));
    }
    const others = this.#all().filter((one) => one !== known);
    const place = others.findIndex((one) => one.last_message_at <= conversation.last_message_at);
    others.splice(place < 0 ? others.length : place, 0, ...(listed ? [conversation] : []));
    this.#fill(others);
  }

  drop(id) {
    this.#fill(this.#all().filter((one) => one.id !== id));
  }

  #all() {
    return [...this.#rows.values()].map((row) => row.conversation);
  }

  #fill(conversations) {
    const known = this.#rows;
    this.#rows = new Map();
    const nodes = [];
    let group;
    for (const conversation of conversations) {
      const name = groupOf(conversation.last_message_at * 1000);
      if (name !== group) nodes.push(el("li", { className: "group", textContent: (group = name) }));
      const node = known.get(conversation.id)?.node ?? this.#row(conversation.id);
      this.#rows.set(conversation.id, { conversation, node });
      this.#label(node, conversation);
      nodes.push(node);
    }
    arrange(this.list, nodes);
    this.#note();
    this.#reach();
  }

  #note() {
    const empty = this.#archived ? "Nothing is archived." : "Your conversations will be listed here. Write a message to begin one.";
    if (!this.#query) $("shelf-note").textContent = this.#rows.size ? "" : empty;
  }

  #row(id) {
    const link = el("a", { href: `#/c/${id}`, dir: "auto" });
    const more = el("button", { type: "button", className: "quiet" }, icon("more"));
    more.addEventListener("click", () => this.menu(this.find(id), { button: more, label: link }));
    link.addEventListener("dblclick", () => this.#rename(this.find(id), link));
    return el("li", { className: "row-of" }, link, more);
  }

  #label(node, conversation) {
    const title = titleOf(conversation);
    const link = node.querySelector("a");
    if (link && link.textContent !== title) {
      link.textContent = title;
      link.title = title;
      node.querySelector("button").ariaLabel = `Actions for ${title}`;
    }
    mark(node, conversation.id === this.#current);
  }

  // Load the next page when the end of the list comes into sight.
  async #reach() {
    const { scrollTop, clientHeight, scrollHeight } = $("shelf");
    if (!this.#cursor || this.#loading || this.#query || scrollHeight - scrollTop - clientHeight > 400) return;
    const query = { limit: PAGE, archived: this.#archived, after: this.#cursor };
    this.#loading = get("v1/conversations", query);
    try {
      const page = await this.#loading;
      if (query.archived !== this.#archived) return;
      this.#cursor = page.has_more ? page.last_id : null;
      const more = page.data.filter((one) => !this.#rows.has(one.id));
      this.#loading = null;
      this.#fill([...this.#all(), ...more]);
    } catch (error) {
      toast(error.message);
    } finally {
      this.#loading = null;
    }
  }

  async #show(archived) {
    this.#archived = archived;
    $("view-active").ariaPressed = String(!archived);
    $("view-archived").ariaPressed = String(archived);
    this.#cursor = null;
    this.#fill([]);
    await this.refresh().catch((error) => toast(error.message));
  }

  async #find() {
    this.#query = $("query").value.trim();
    const searching = this.#query !== "";
    $("views").hidden = this.list.hidden = searching;
    $("results").hidden = !searching;
    const { Search } = await import("./search.js");
    this.#search ??= new Search();
    if (this.#query) return this.#search.find(this.#query);
    this.#search.clear();
    this.#note();
  }

  // Up and down go through the list, so that Tab need not pass every row.
  #walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.matches("a")) return;
    event.preventDefault();
    const links = [...this.list.querySelectorAll("a")];
    links[links.indexOf(event.target) + step]?.focus();
  }

  // Offer what can be done with a conversation; `label` is where its title is changed.
  menu(conversation, { button, label }) {
    const menu = $("menu");
    this.#chosen = { conversation, label };
    menu.querySelector('[data-do="archive"] span').textContent = conversation.archived_at ? "Unarchive" : "Archive";
    menu.showPopover();
    const at = button.getBoundingClientRect();
    const { width, height } = menu.getBoundingClientRect();
    menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - width - 8))}px`;
    menu.style.top = `${at.bottom + height > innerHeight ? at.top - height : at.bottom}px`;
    menu.querySelector("button").focus();
  }

  async #choose(button) {
    if (!button) return;
    const { conversation, label } = this.#chosen;
    $("menu").hidePopover();
    if (button.dataset.do === "rename") this.#rename(conversation, label);
    else if (button.dataset.do === "archive") await this.#archive(conversation.id, !conversation.archived_at);
    else await this.#delete(conversation);
  }

  #rename(conversation, label) {
    const input = el("input", { value: conversation.title ?? "", "aria-label": "Title", autocomplete: "off", maxLength: TITLE_LIMIT });
    let done = false;
    const end = async (keep) => {
      if (done) return;
      done = true;
      input.replaceWith(label);
      const title = input.value.trim();
      if (keep && title && title !== conversation.title) await this.#update(conversation.id, { title });
    };
    input.addEventListener("keydown", (event) => {
      if (composing(event) || !["Enter", "Escape"].includes(event.key)) return;
      event.preventDefault();
      end(event.key === "Enter");
      label.focus();
    });
    input.addEventListener("blur", () => end(true));
    label.replaceWith(input);
    input.select();
    input.focus();
  }

  async #archive(id, archived) {
    if (!(await this.#update(id, { archived }))) return;
    const undo = { label: "Undo", run: () => this.#update(id, { archived: !archived }) };
    toast(archived ? "Archived" : "Moved back to the active ones", undo);
  }

  async #update(id, change) {
    try {
      const conversation = await post(conversationPath(id), change);
      this.put(conversation);
      this.changed({ conversation });
      return true;
    } catch (error) {
      toast(`Not changed. ${error.message}`);
      return false;
    }
  }

  async #delete(conversation) {
    const { id } = conversation;
    if (!(await ask(`Delete “${titleOf(conversation)}” with all its messages? This cannot be taken back.`, "Delete"))) return;
    try {
      await remove(conversationPath(id));
    } catch (error) {
      if (error.status !== 404) return toast(`Not deleted. ${error.message}`);
    }
    this.drop(id);
    this.changed({ gone: id });
    toast("Deleted");
  }
}

function mark(node, current) {
  const link = node.querySelector("a");
  if (current) link?.setAttribute("aria-current", "page");
  else link?.removeAttribute("aria-current");
}

// Move only what is not in its place: what has the focus keeps it.
function arrange(list, nodes) {
  const wanted = new Set(nodes);
  for (const node of [...list.children]) wanted.has(node) || node.remove();
  nodes.forEach((node, index) => list.children[index] === node || list.insertBefore(node, list.children[index] ?? null));
}

function groupOf(time) {
  const today = new Date().setHours(0, 0, 0, 0);
  if (time >= today) return "Today";
  if (time >= today - DAY) return "Yesterday";
  if (time >= today - 7 * DAY) return "Last 7 days";
  if (time >= today - 30 * DAY) return "Last 30 days";
  return new Date(time).toLocaleDateString(undefined, { month: "long", year: "numeric" });
}
