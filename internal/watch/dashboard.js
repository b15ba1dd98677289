// Keeps the page fresh without a reload, so that focus and place stay. Without this script the
// page reloads itself.
"use strict";

const main = () => document.getElementById("dashboard");
let fetching = false;
let again = false;

async function update() {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  try {
    const answer = await fetch("./", { cache: "no-store" });
    if (answer.ok) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const focus = place(document.activeElement);
      main().replaceWith(fresh.getElementById("dashboard"));
      document.title = fresh.title;
      find(focus)?.focus({ preventScroll: true });
    }
  } catch {
    // The program has ended or is busy; the next event tries again.
  }
  fetching = false;
  if (again) {
    again = false;
    update();
  }
}

// place says which button or link of which account has the focus.
function place(element) {
  const section = element?.closest?.("section");
  return section ? { section: section.getAttribute("aria-labelledby"), html: element.outerHTML } : null;
}

function find(at) {
  const section = at && document.querySelector(`section[aria-labelledby="${CSS.escape(at.section)}"]`);
  return section ? [...section.querySelectorAll("a, button")].find((e) => e.outerHTML === at.html) : null;
}

new EventSource("events").addEventListener("change", update);
setInterval(update, 60_000);
