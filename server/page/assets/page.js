// What pages do beyond plain HTML. Each works without it.
"use strict";

// A click that was meant for something else must not approve: the answers
// wait half a second after the page appears or gets the focus back.
const guarded = document.querySelectorAll("[data-guard]");
let waiting = 0;
let sent = false;

let focused = null; // a disabled button loses the focus; whoever uses the keyboard gets it back

function hold() {
  if (sent) return;
  if (document.activeElement && document.activeElement.matches("[data-guard]")) focused = document.activeElement;
  for (const b of guarded) b.disabled = true;
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    for (const b of guarded) b.disabled = false;
    if (focused && document.activeElement === document.body) focused.focus();
    focused = null;
  }, 500);
}

if (guarded.length > 0) {
  hold();
  window.addEventListener("focus", hold);
  document.addEventListener("visibilitychange", hold);
  window.addEventListener("pageshow", (e) => {
    if (e.persisted) sent = false;
    hold();
  });
}

// An answer counts once. An app's own address leaves this page standing, so it says what happened.
for (const form of document.querySelectorAll("[data-once]")) {
  form.addEventListener("submit", (e) => {
    if (sent) {
      e.preventDefault();
      return;
    }
    sent = true;
    clearTimeout(waiting);
    setTimeout(() => {
      for (const b of guarded) b.disabled = true;
      const note = document.getElementById("sent");
      note.textContent = note.dataset.text;
    }, 0);
  });
}

// Some apps read only the first line of what is pasted, so what is copied is one line: by the button, and by hand.
const copy = document.getElementById("copy-api-key-btn");
if (copy) {
  const said = document.getElementById("copied");
  const payload = document.getElementById("user-api-key-payload");
  payload.addEventListener("copy", (e) => {
    e.clipboardData.setData("text/plain", getSelection().toString().replace(/\s+/g, ""));
    e.preventDefault();
  });
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    let copied = false;
    try {
      await navigator.clipboard.writeText(payload.textContent.replace(/\s+/g, "")); // not on plain http
      copied = true;
    } catch {
      getSelection().selectAllChildren(payload);
      copied = document.execCommand("copy");
    }
    said.textContent = copied ? "Copied." : "Selected: copy it with your keyboard or menu.";
  });
}
