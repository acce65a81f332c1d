// Put the page together: who is signed in, which conversation is open, and what the parts tell each other.

import { get, onSignedOut, post, titleOf } from "./api.js";
import { Composer } from "./composer.js";
import { $, el, toast } from "./dom.js";
import { Sidebar } from "./sidebar.js";

const ROUTE = /^#\/c\/(conv_[0-9a-f]{48})(?:\/([a-z]+_[0-9a-f]{48}))?$/;
const FRESH_MS = 20_000; // while somebody is there, the list is asked for this often
const RETRY_MS = 2000;
const AWAY_MS = 300_000; // nobody touched anything: the database may sleep

const PARTS = ["thread.js", "item.js", "markdown.js", "turn.js", "live.js", "sse.js"];

const tabs = new BroadcastChannel("hansard");
let conversation = null;
let visits = 0;
let opening = null; // what is sent meanwhile waits for it
let titled = null; // the conversation whose title is shown
let active = Date.now();
let again; // the timer of a list that could not be had
const away = new Set(); // who asks the server and gets no answer

const composer = new Composer({ submit, stop: () => conversation?.stop() });
const sidebar = new Sidebar({ changed: ({ conversation: changed, gone }) => {
  tabs.postMessage("list");
  if (changed?.id === conversation?.id) entitle(changed);
  if (gone) forget(gone);
} });

async function start(session = null) {
  $("signed-out").hidden = true;
  $("page").hidden = false;
  try {
    const [user] = await Promise.all([session ?? get("auth/user"), sidebar.refresh()]);
    link("list", true);
    composer.user = user.user_id;
    await route();
  } catch (error) {
    if (error.status !== 401) retry("list", () => start(session));
  }
}

function retry(who, run) {
  link(who, false);
  setTimeout(run, RETRY_MS);
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

function show(id, itemId = null) {
  return (opening = open(id, itemId));
}

async function open(id, itemId) {
  const visit = ++visits;
  conversation?.close();
  conversation = null;
  sidebar.current = id;
  composer.place = id;
  $("welcome").hidden = Boolean(id);
  link("conversation", true);
  entitle(id && sidebar.find(id));
  if (!id) return welcome();
  try {
    const opened = await load(id);
    if (visit !== visits) return;
    conversation = opened;
    await opened.open(itemId);
  } catch (error) {
    if (visit !== visits || error.status === 401) return;
    if (error.status === 404) leave("There is no such conversation, or it is not yours.");
    else retry("conversation", () => visit === visits && show(id, itemId));
  }
}

function welcome() {
  // On a phone the keyboard would cover half of the page unasked, and somebody may be looking for something already.
  if (matchMedia("(hover: hover)").matches && !document.activeElement.matches("input")) composer.focus();
}

// What a conversation needs is fetched with the first one that is opened.
async function load(id) {
  const { Conversation } = await parts();
  return new Conversation(id, {
    changed: (changed) => {
      sidebar.put(changed);
      if (changed.id === conversation?.id) entitle(changed);
    },
    gone: (gone) => {
      sidebar.drop(gone);
      forget(gone, "This conversation was deleted.");
    },
    running: (running) => (composer.running = running),
    linked: (linked) => link("conversation", linked),
  });
}

// A browser does not ask again for a module that it could not get once: then only loading the page anew helps, and it
// loses nothing.
async function parts() {
  // All at once, and not one after the other as they name each other.
  for (const name of PARTS.splice(0)) {
    document.head.append(el("link", { rel: "modulepreload", href: new URL(name, import.meta.url).href }));
  }
  try {
    return await import("./conversation.js");
  } catch {
    await get("auth/user");
    location.reload();
    return new Promise(() => {});
  }
}

function forget(gone, reason) {
  composer.adopt(gone);
  if (gone === conversation?.id) leave(reason);
}

function leave(reason) {
  history.replaceState(null, "", "#/");
  show(null);
  if (reason) toast(reason);
}

async function submit(text, key) {
  try {
    if (!navigator.onLine) throw new Error("You are offline.");
    await opening;
    // Never elsewhere than where it was written.
    if (sidebar.current && !conversation) throw new Error("This conversation could not be opened yet.");
    const home = conversation ?? (await begin(key));
    await home.send(text, key);
    tabs.postMessage("list");
    return home.id;
  } catch (error) {
    if (error.status !== 401) toast(`Not sent. ${error.message} Your message is kept.`);
    return null;
  }
}

async function begin(key) {
  const made = await post("v1/conversations", {}, { key: `${key}-new` });
  composer.rehome(made.id);
  history.pushState(null, "", `#/c/${made.id}`);
  sidebar.put(made);
  sidebar.current = made.id;
  $("welcome").hidden = true;
  visits += 1;
  conversation = await load(made.id);
  await conversation.open();
  return conversation;
}

async function signIn(code) {
  // Out of the address bar and the history before anything else happens.
  history.replaceState(null, "", location.pathname);
  try {
    const session = await post("auth/session", { code });
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
  const elsewhere = Boolean($("sign-in").getAttribute("href"));
  $("sign-in").hidden = !elsewhere;
  $("sign-in-yourself").hidden = elsewhere;
}

function entitle(of) {
  titled = of ?? null;
  const title = titleOf(of);
  $("actions").hidden = !of;
  $("title").textContent = title;
  document.title = of ? `${title} · Hansard` : "Hansard";
}

// Say whether the server is there, for one of those who ask it.
function link(who, there) {
  if (there) away.delete(who);
  else away.add(who);
  tellLink();
}

function tellLink() {
  const text = navigator.onLine ? (away.size ? "Reconnecting …" : "") : "Offline";
  if ($("link").textContent !== text) $("link").textContent = text;
}

function toggleSidebar(open) {
  $("sidebar").classList.toggle("open", open);
  $("veil").hidden = !open;
  $("open-sidebar").ariaExpanded = String(open);
  $("main").inert = open;
  if (open) $("close-sidebar").focus();
}

async function refresh() {
  clearTimeout(again);
  if (document.hidden || $("page").hidden) return;
  try {
    await sidebar.refresh();
    link("list", true);
  } catch (error) {
    if (!error.passing) return;
    link("list", false);
    clearTimeout(again);
    again = setTimeout(refresh, RETRY_MS);
  }
}

onSignedOut(() => signedOut());
addEventListener("hashchange", route);
addEventListener("focus", refresh);
addEventListener("online", () => (tellLink(), refresh()));
addEventListener("offline", tellLink);
document.addEventListener("visibilitychange", refresh);
for (const name of ["pointerdown", "keydown", "wheel"]) {
  addEventListener(name, () => (active = Date.now()), { passive: true });
}
setInterval(() => Date.now() - active < AWAY_MS && refresh(), FRESH_MS);
tabs.addEventListener("message", ({ data }) => (data === "signed-in" && $("page").hidden ? start() : refresh()));
$("open-sidebar").addEventListener("click", () => toggleSidebar(true));
$("close-sidebar").addEventListener("click", () => (toggleSidebar(false), $("open-sidebar").focus()));
$("veil").addEventListener("click", () => toggleSidebar(false));
$("actions").addEventListener("click", () => sidebar.menu(titled, { button: $("actions"), label: $("title") }));
$("skip").addEventListener("click", () => composer.focus());
$("try-again").addEventListener("click", () => start());
// Ready before the first message is sent.
$("text").addEventListener("input", () => navigator.onLine && import("./conversation.js").catch(() => {}), { once: true });
for (const hint of $("hints").children) hint.addEventListener("click", () => composer.write(hint.textContent));
addEventListener("keydown", (event) => {
  if (event.key === "k" && (event.metaKey || event.ctrlKey)) {
    event.preventDefault();
    toggleSidebar(matchMedia("(width < 48rem)").matches);
    $("query").focus();
  } else if (event.key === "Escape" && $("sidebar").classList.contains("open") && !taken(event)) {
    toggleSidebar(false);
    $("open-sidebar").focus();
  }
});

// Escape leaves what lies on top, and nothing below it.
function taken(event) {
  return event.defaultPrevented || $("menu").matches(":popover-open") || $("ask").open;
}

composer.place = ROUTE.exec(location.hash)?.[1];
opening = location.hash.startsWith("#code=") ? route() : start();
