// Build elements without HTML, and say things that pass.

const SVG = "http://www.w3.org/2000/svg";
const TOAST_MS = 7000;

export const $ = (id) => document.getElementById(id);

// Properties where the element has them, attributes where not.
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

// Tell something to those who cannot see it.
export function announce(text) {
  $("said").textContent = text;
}

export function toast(text, action = null) {
  const box = el("div", { className: "toast" }, el("span", { textContent: text }));
  if (action) {
    const run = () => (box.remove(), action.run());
    box.append(el("button", { type: "button", textContent: action.label, onclick: run }));
  }
  $("toasts").replaceChildren(box);
  setTimeout(() => box.matches(":hover, :focus-within") || box.remove(), TOAST_MS);
}

// Ask before something that cannot be taken back.
export function ask(question, yes) {
  const box = $("ask");
  $("question").textContent = question;
  $("yes").textContent = yes;
  box.returnValue = "";
  box.showModal();
  return new Promise((resolve) => {
    box.addEventListener("close", () => resolve(box.returnValue === "yes"), { once: true });
  });
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("This browser did not let the page copy. Select the text and copy it by hand.");
  }
}

// While an input method composes, Enter picks a word. Safari says so by the key code alone.
export const composing = (event) => event.isComposing || event.keyCode === 229;

// Call once things have been quiet for a while.
export function settle(ms, run) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(run, ms, ...args);
  };
}
