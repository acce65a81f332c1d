"use strict";

const state = document.getElementById("state");

async function signIn(code) {
  const answer = await fetch("/auth/session", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Hansard-CSRF": "1" },
    body: JSON.stringify({ code }),
  });
  state.textContent = answer.ok
    ? "You are signed in."
    : "This address was used already or has expired. Run “hansard login-url” for another.";
}

const code = new URLSearchParams(location.hash.slice(1)).get("code");
if (code) {
  // Out of the address bar and the history before anything else happens.
  history.replaceState(null, "", location.pathname);
  signIn(code).catch(() => {
    state.textContent = "The server cannot be reached.";
  });
}
