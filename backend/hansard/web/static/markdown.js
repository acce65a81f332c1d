// Turn the trees of POST /v1/markdown into elements: those of this list, and no others.

import { post } from "./api.js";
import { copy, el } from "./dom.js";

const MOST_TEXTS = 50;
const LONGEST = 100_000;
const AT_ONCE = 50_000; // characters: an answer is not long in coming, and within the time the server gives it
const SCHEMES = new Set(["http:", "https:", "mailto:"]);
// A reply's headings stand below the page's own.
const TAGS = {
  p: "p", h1: "h3", h2: "h4", h3: "h5", h4: "h6", h5: "h6", h6: "h6", ul: "ul", ol: "ol", li: "li",
  blockquote: "blockquote", code: "code", em: "em", strong: "strong", s: "s", br: "br", hr: "hr",
  thead: "thead", tbody: "tbody", tr: "tr", th: "th", td: "td",
};
const MAKERS = { a: link, pre: block, table: wide };

// Return one tree for each text, or null where it is to be shown as it is.
export async function parse(texts) {
  const trees = texts.map(() => null);
  for (const batch of batches(texts)) {
    try {
      const { data } = await post("v1/markdown", { texts: batch.map((index) => texts[index]) });
      batch.forEach((index, place) => (trees[index] = data[place]));
    } catch {
      // Nothing is lost without it: the text itself is shown.
    }
  }
  return trees;
}

// Return which texts to send together.
function batches(texts) {
  const made = [];
  let room = -1;
  texts.forEach((text, index) => {
    if (text.length > LONGEST) return;
    if (text.length > room || made.at(-1)?.length === MOST_TEXTS) {
      made.push([]);
      room = AT_ONCE;
    }
    made.at(-1).push(index);
    room -= text.length;
  });
  return made;
}

export function build(nodes) {
  const made = document.createDocumentFragment();
  for (const node of nodes) made.append(typeof node === "string" ? node : element(node));
  return made;
}

function element({ tag, attrs = {}, children }) {
  const make = Object.hasOwn(MAKERS, tag) ? MAKERS[tag] : plain;
  return make({ tag, attrs, children });
}

function plain({ tag, attrs, children }) {
  // An element that a newer server sends is shown by what is in it.
  if (!Object.hasOwn(TAGS, tag)) return build(children);
  const made = el(TAGS[tag]);
  if (tag === "ol" && Number.isInteger(attrs.start)) made.start = attrs.start;
  if (attrs.align === "center" || attrs.align === "right") made.className = attrs.align;
  made.append(build(children));
  return made;
}

function link({ attrs, children }) {
  const href = URL.parse?.(attrs.href) ?? parsed(attrs.href);
  if (!href || !SCHEMES.has(href.protocol)) return build(children);
  const made = el("a", { href: href.href, rel: "noopener noreferrer", target: "_blank", title: href.href });
  made.append(build(children));
  return made;
}

function parsed(text) {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

function block({ attrs, children }) {
  const code = el("code", { textContent: children.join("") });
  const button = el("button", { type: "button", textContent: "Copy code", onclick: () => copy(code.textContent) });
  const head = el("header", {}, el("span", { textContent: String(attrs.lang ?? "") }), button);
  return el("div", { className: "code" }, head, el("pre", { tabIndex: 0, dir: "ltr" }, code));
}

function wide({ children }) {
  const table = el("table");
  table.append(build(children));
  return el("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": "Table" }, table);
}
