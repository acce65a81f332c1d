// Show one item of a conversation: what was said, what was called, what is not known here.

import { copy, el, icon } from "./dom.js";
import { build } from "./markdown.js";

const SPEAKERS = { user: "You", assistant: "Assistant", system: "System", developer: "Developer", tool: "Tool" };
const TEXTS = { input_text: "text", output_text: "text", text: "text", refusal: "refusal" };
const OUTPUT = "_output";

// Return the text of a message; other parts are shown as what they are.
export function textOf(item) {
  if (typeof item.content === "string") return item.content;
  return (item.content ?? []).map((part) => part[TEXTS[part.type]] ?? "").join("");
}

export const isReply = (item) => item.type === "message" && item.role === "assistant";
export const isOutput = (item) => item.type.endsWith(OUTPUT) && Boolean(item.call_id);

export function show(item, tree = null) {
  const node = el("li", { className: "item" });
  node.dataset.id = item.id;
  if (item.type === "message") message(node, item, tree);
  else node.append(fold(item));
  return node;
}

function message(node, item, tree) {
  const text = textOf(item);
  const body = el("div", { className: "text", dir: "auto" });
  node.classList.add({ user: "user", assistant: "reply" }[item.role] ?? "other");
  node.dataset.role = item.role;
  node.dataset.status = item.status;
  node.append(speaker(item.role), body);
  write(body, text, tree);
  for (const part of attachments(item)) node.append(details(part.type, [["Part", pretty(part)]]));
  if (item.status === "incomplete") node.append(notice("This answer is not complete."));
  if (text) node.append(el("div", { className: "tools" }, copier(text)));
}

// Where somebody stands says who speaks only to those who see it, and only of two.
function speaker(role) {
  const name = SPEAKERS[role] ?? role;
  if (role === "user" || role === "assistant") return el("span", { className: "unseen", textContent: `${name} said:` });
  return el("span", { className: "speaker", textContent: name });
}

// Put a text into an element: as the tree of its Markdown, or as it is.
export function write(body, text, tree) {
  body.classList.toggle("rich", tree !== null);
  body.classList.toggle("verbatim", tree === null);
  body.replaceChildren(tree === null ? text : build(tree));
}

// Say what became of a turn; `calm` where nothing went wrong.
export function notice(text, { action = null, calm = false } = {}) {
  const box = el("div", { className: calm ? "notice calm" : "notice" }, el("span", { textContent: text }));
  if (action) box.append(el("button", { type: "button", className: "plain", textContent: action.label, onclick: action.run }));
  return box;
}

// Add what a call answered to the call itself.
export function answer(node, item) {
  node.querySelector(".fold > div").append(...section("Answer", outputOf(item)));
  node.querySelector("summary span").textContent = item.status === "incomplete" ? "interrupted" : "done";
}

function copier(text) {
  return el("button", { type: "button", title: "Copy", "aria-label": "Copy", onclick: () => copy(text) }, icon("copy"));
}

function attachments(item) {
  return Array.isArray(item.content) ? item.content.filter((part) => !(part.type in TEXTS)) : [];
}

function fold(item) {
  if (isOutput(item)) return details("Answer of a call", [["Answer", outputOf(item)]]);
  if (item.type === "reasoning") return details("Reasoning", [["", reasoningOf(item)]]);
  if (item.type.endsWith("_call")) {
    const state = item.status === "completed" ? "" : (item.status ?? "");
    return details(item.name ?? item.type, [["Asked", askedOf(item)]], { state: state.replaceAll("_", " "), code: true });
  }
  return details(item.type, [["Item", pretty(item)]]);
}

function details(title, sections, { state = "", code = false } = {}) {
  const name = el(code ? "b" : "span", { textContent: title });
  const parts = code ? [icon("fold"), name, el("span", { textContent: state })] : [icon("fold"), name];
  const inside = el("div", {}, ...sections.flatMap(([head, text]) => section(head, text)));
  return el("details", { className: "fold" }, el("summary", {}, ...parts), inside);
}

function section(head, text) {
  const body = el("pre", { textContent: text, tabIndex: 0 });
  return head ? [el("h3", { textContent: head }), body] : [body];
}

function askedOf(item) {
  const asked = item.arguments ?? item.input ?? item.action ?? item.operation ?? item.queries ?? item.code ?? item;
  return typeof asked === "string" ? indented(asked) : pretty(asked);
}

function outputOf(item) {
  const { output } = item;
  return typeof output === "string" ? indented(output) : pretty(output ?? item);
}

function reasoningOf(item) {
  return [...(item.summary ?? []), ...(item.content ?? [])].map((part) => part.text ?? "").join("\n\n") || "Not shown.";
}

function indented(text) {
  try {
    return pretty(JSON.parse(text));
  } catch {
    return text;
  }
}

const pretty = (value) => JSON.stringify(value, null, 2);
