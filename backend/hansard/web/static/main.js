// Put the page together: who is signed in, which conversation is open, and what the parts tell each other.

import { get, onSignedOut, post } from "./api.js";
import { Composer } from "./composer.js";
import { $, toast } from "./dom.js";
import { Sidebar, titleOf } from "./sidebar.js";

const ROUTE = /^#\/c\/(conv_[0-9a-f]{48})(?:\/([a-z]+_[0-9a-f]{48}))?$/;
const FRESH_MS = 20_000; // while somebody is there, the list is asked for this often
const AWAY_MS = 300_000; // nobody touched anything: the database may sleep

const tabs = new BroadcastChannel("hansard");
let conversation = null;
let active = Date.now();

const composer = new Composer({ submit, stop: () => conversation?.stop() });
const sidebar = new Sidebar({ changed: ({ conversation: changed, gone }) => {
  tabs.postMessage("list");
  if (changed?.id === conversation?.id) entitle(changed);
  if (gone && gone === conversation?.id) location.hash = "#/";
} });

async function start(session = null) {
  $("signed-out").hidden = true;
  $("page").hidden = false;
  try {
    const [user] = await Promise.all([session ?? get("/auth/user"), sidebar.refresh()]);
    composer.user = user.user_id;
    await route();
  } catch (error) {
    if (error.status !== 401) retryStart();
  }
}

function retryStart() {
  link("Reconnecting …");
  setTimeout(start, 2000, null);
}

// The address says which conversation is open, or brings a code that signs in.
async function route() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code) return signIn(code);
  const [, id = null, itemId = null] = ROUTE.exec(location.hash) ?? [];
  toggleSidebar(false);
  if (id === conversation?.id && !itemId) return;
  await show(id, itemId);
}

async function show(id, itemId = null) {
  conversation?.close();
  conversation = null;
  sidebar.current = id;
  composer.place = id;
  $("welcome").hidden = Boolean(id);
  link("");
  entitle(id && sidebar.find(id));
  if (!id) return composer.focus();
  const opened = await open(id);
  try {
    await opened.open(itemId);
  } catch (error) {
    if (opened !== conversation || error.status === 401) return;
    toast(error.status === 404 ? "There is no such conversation, or it is not yours." : error.message);
    if (error.status === 404) location.hash = "#/";
  }
}

// What a conversation needs is loaded with the first one that is opened.
async function open(id) {
  const { Conversation } = await import("./conversation.js");
  conversation = new Conversation(id, {
    changed: (changed) => (sidebar.put(changed), entitle(changed), tabs.postMessage("list")),
    running: (running) => (composer.running = running),
    linked: (linked) => link(linked ? "" : "Reconnecting …"),
  });
  return conversation;
}

async function submit(text, key) {
  try {
    if (!navigator.onLine) throw new Error("You are offline.");
    const home = conversation ?? (await begin(key));
    await home.send(text, key);
    return home.id;
  } catch (error) {
    if (error.status !== 401) toast(`Not sent. ${error.message} Your message is kept.`);
    return null;
  }
}

async function begin(key) {
  const made = await post("/v1/conversations", {}, { key: `${key}-new` });
  composer.rehome(made.id);
  history.pushState(null, "", `#/c/${made.id}`);
  sidebar.put(made);
  sidebar.current = made.id;
  $("welcome").hidden = true;
  const opened = await open(made.id);
  await opened.open();
  return opened;
}

async function signIn(code) {
  // Out of the address bar and the history before anything else happens.
  history.replaceState(null, "", location.pathname);
  try {
    const session = await post("/auth/session", { code });
    tabs.postMessage("signed-in");
    await start(session);
  } catch (error) {
    signedOut(error.status === 401 ? "This address was used already or has expired." : error.message);
  }
}

function signedOut(reason) {
  conversation?.close();
  conversation = null;
  $("page").hidden = true;
  $("signed-out").hidden = false;
  if (reason) $("signed-out-reason").textContent = reason;
  $("sign-in").parentElement.hidden = !$("sign-in").getAttribute("href");
}

function entitle(of) {
  const title = of ? titleOf(of) : "New conversation";
  $("title").textContent = title;
  document.title = of ? `${title} · Hansard` : "Hansard";
}

function link(text) {
  if ($("link").textContent !== text) $("link").textContent = text;
}

function toggleSidebar(open) {
  $("sidebar").classList.toggle("open", open);
  $("veil").hidden = !open;
  $("open-sidebar").ariaExpanded = String(open);
  $("main").inert = open;
  if (open) $("close-sidebar").focus();
}

function refresh() {
  if (!document.hidden && !$("page").hidden) sidebar.refresh().catch(() => {});
}

onSignedOut(() => signedOut());
addEventListener("hashchange", route);
addEventListener("focus", refresh);
addEventListener("online", refresh);
document.addEventListener("visibilitychange", refresh);
for (const name of ["pointerdown", "keydown", "wheel"]) {
  addEventListener(name, () => (active = Date.now()), { passive: true });
}
setInterval(() => Date.now() - active < AWAY_MS && refresh(), FRESH_MS);
tabs.addEventListener("message", ({ data }) => (data === "signed-in" && $("page").hidden ? start() : refresh()));
$("open-sidebar").addEventListener("click", () => toggleSidebar(true));
$("close-sidebar").addEventListener("click", () => (toggleSidebar(false), $("open-sidebar").focus()));
$("veil").addEventListener("click", () => toggleSidebar(false));
$("try-again").addEventListener("click", () => start());
for (const hint of document.querySelectorAll("[data-hint]")) {
  hint.addEventListener("click", () => composer.write(hint.dataset.hint));
}
addEventListener("keydown", (event) => {
  if (event.key === "k" && (event.metaKey || event.ctrlKey)) {
    event.preventDefault();
    toggleSidebar(matchMedia("(width < 48rem)").matches);
    $("query").focus();
  } else if (event.key === "Escape" && $("sidebar").classList.contains("open")) {
    toggleSidebar(false);
    $("open-sidebar").focus();
  }
});

if (location.hash.startsWith("#code=")) route();
else start();
