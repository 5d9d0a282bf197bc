// Single-letter shortcuts, which can be switched off, as WCAG 2.1.4 asks. All works by Tab alone.

import { h } from "./dom.js";

const OFF = "sensus-keys-off";
const SEQUENCE_MS = 1200;

/** @type {Map<string, {text: string, run: () => void}>} */
const everywhere = new Map();
/** @type {Map<string, {text: string, run: () => void}>} */
const ofPage = new Map();
let pending = "";
let pendingUntil = 0;

/** @param {string} keys "a", or "g i" for two in a row @param {string} text @param {() => void} run */
export function always(keys, text, run) {
  everywhere.set(keys, { text, run });
}

/** Until the page is left. @param {string} keys @param {string} text @param {() => void} run */
export function onPage(keys, text, run) {
  ofPage.set(keys, { text, run });
}

export function forgetPage() {
  ofPage.clear();
}

export function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (event.key.length !== 1 || localStorage.getItem(OFF)) return;
    const isSecond = pending && Date.now() < pendingUntil;
    const keys = isSecond ? `${pending} ${event.key}` : event.key;
    pending = "";
    const found = ofPage.get(keys) ?? everywhere.get(keys);
    if (found) {
      event.preventDefault();
      found.run();
    } else if ([...everywhere.keys()].some((each) => each.startsWith(`${keys} `))) {
      pending = keys;
      pendingUntil = Date.now() + SEQUENCE_MS;
    }
  });
  always("?", "These keys", help);
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName))
  );
}

function help() {
  const open = document.querySelector("dialog.help");
  if (open instanceof HTMLDialogElement) return open.close();
  const rows = [...ofPage, ...everywhere].map(([keys, { text }]) =>
    h(
      "tr",
      {},
      h("td", {}, ...keys.split(" ").flatMap((key) => [h("kbd", {}, key), " "])),
      h("td", {}, text),
    ),
  );
  const off = h("input", { type: "checkbox", checked: !localStorage.getItem(OFF) });
  off.addEventListener("change", () =>
    off.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1"),
  );
  const dialog = h(
    "dialog",
    { class: "help", "aria-labelledby": "help-title" },
    h("h2", { id: "help-title" }, "Keys"),
    h("table", {}, h("tbody", {}, ...rows)),
    h("label", {}, off, " Single letters do something"),
    h("form", { method: "dialog" }, h("button", {}, "Close")),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
