// How one gets about: paths to pages, each a module of its own that is fetched when it is first
// needed, and single-letter shortcuts. These can be switched off, as WCAG 2.1.4 asks; all works by
// Tab alone.

import { fill, h, messageOf } from "./dom.js";

/**
 * @typedef {object} Visit
 * @property {HTMLElement} main where the page puts itself
 * @property {Record<string, string>} params of the path
 * @property {URLSearchParams} query
 * @property {AbortSignal} signal aborted when the page is left
 * @property {number} beganMs when it was asked for, as `performance.now` tells
 * @property {(title: string) => void} title names the page
 *
 * @typedef {{show: (visit: Visit) => Promise<void> | void}} Page
 */

/** @type {[RegExp, () => Promise<Page>][]} */
const ROUTES = [
  [/^\/$/, () => import("./pages/now.js")],
  [/^\/login$/, () => import("./pages/login.js")],
  [/^\/incidents\/(?<id>[^/]+)$/, () => import("./pages/incident.js")],
  [/^\/alerts$/, () => import("./pages/alerts.js")],
  [/^\/alerts\/(?<id>[^/]+)$/, () => import("./pages/alert.js")],
  [/^\/anomalies\/(?<id>[^/]+)$/, () => import("./pages/anomaly.js")],
  [/^\/explanations\/(?<id>[^/]+)$/, () => import("./pages/explanation.js")],
  [/^\/services$/, () => import("./pages/services.js")],
  [/^\/services\/(?<name>[^/]+)$/, () => import("./pages/services.js")],
  [/^\/explore$/, () => import("./pages/explore.js")],
  [/^\/notices$/, () => import("./pages/notices.js")],
  [/^\/rules$/, () => import("./pages/rules.js")],
  [/^\/people$/, () => import("./pages/people.js")],
];

const RENEWED = "sensus-renewed";
/** Files that are missing right after this page was loaded anew are not there at all. */
const RENEW_MS = 10_000;

/** Fires "shown" with the path when another page is shown. */
export const visits = new EventTarget();

let left = new AbortController();

/**
 * Shows a page; one that is shown already stays, with its focus and what was typed.
 * @param {string} path @param {{replace?: boolean}} [options]
 */
export function go(path, { replace = false } = {}) {
  if (!replace && path === location.pathname + location.search) return;
  if (replace) history.replaceState({}, "", path);
  else history.pushState({}, "", path);
  return show();
}

/** Changes the query of the page that is shown, without showing it anew. @param {Record<string, string>} values */
export function setQuery(values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  history.replaceState({}, "", query.size ? `${location.pathname}?${query}` : location.pathname);
}

/** @param {string} path */
function routeOf(path) {
  for (const [pattern, load] of ROUTES) {
    const match = pattern.exec(path);
    if (match) return { match, load };
  }
  return null;
}

/** Fetches the page that is asked for, while it is not known yet who asks. */
export function fetchAhead() {
  routeOf(location.pathname)
    ?.load()
    .catch(() => {});
}

export async function show() {
  left.abort();
  left = new AbortController();
  const { signal } = left,
    beganMs = performance.now();
  forgetPage();
  const main = /** @type {HTMLElement} */ (document.getElementById("main"));
  const path = location.pathname;
  const found = routeOf(path);
  const title = (/** @type {string} */ text) => {
    document.title = text ? `${text} · Sensus` : "Sensus";
  };
  const tell = () => visits.dispatchEvent(new CustomEvent("shown", { detail: path }));
  try {
    if (!found) throw new Error(`There is no page ${path}.`);
    const groups = found.match.groups ?? {};
    const params = Object.fromEntries(
      Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value ?? "")]),
    );
    const page = await found.load().catch(renewed);
    if (signal.aborted) return;
    main.replaceChildren();
    const query = new URLSearchParams(location.search);
    const shown = page.show({ main, params, query, signal, beganMs, title });
    // what the page reads is on its way: now there is time for the frame around it
    tell();
    await shown;
    // what was read ahead was for this page and this moment
    globalThis.ahead.reads.clear();
    if (!signal.aborted && !main.contains(document.activeElement))
      main.focus({ preventScroll: true });
  } catch (error) {
    if (signal.aborted) return;
    title("");
    tell();
    fill(
      main,
      h("h1", {}, "This page cannot be shown"),
      h("p", { role: "alert" }, messageOf(error)),
      h("button", { type: "button", onclick: () => show() }, "Try again"),
    );
  }
}

/** A release took the files of this page away: the same path has new ones. @param {unknown} error @returns {never} */
function renewed(error) {
  const lastMs = Number(sessionStorage.getItem(RENEWED));
  if (navigator.onLine && !(Date.now() - lastMs < RENEW_MS)) {
    sessionStorage.setItem(RENEWED, String(Date.now()));
    location.reload();
  }
  throw error;
}

/** Links inside the console change the page without loading it. */
export function intercept() {
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const anchor = event.target.closest("a[href]");
    if (!(anchor instanceof HTMLAnchorElement) || event.defaultPrevented) return;
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || anchor.target) return;
    if (
      anchor.origin !== location.origin ||
      anchor.hash ||
      !routeOf(anchor.pathname)
    )
      return;
    event.preventDefault();
    go(anchor.pathname + anchor.search);
  });
  addEventListener("popstate", () => show());
}

const KEYS_OFF = "sensus-keys-off";
const SEQUENCE_MS = 1200;

/** @type {Map<string, {text: string, run: () => void}>} */
const everywhere = new Map();
/** @type {Map<string, {text: string, run: () => void}>} */
const ofPage = new Map();
let pending = "";
let pendingUntil = 0;

/** @param {string} keys "a", or "g i" for two in a row @param {string} text @param {() => void} run */
export function key(keys, text, run) {
  everywhere.set(keys, { text, run });
}

/** Until the page is left. @param {string} keys @param {string} text @param {() => void} run */
export function pageKey(keys, text, run) {
  ofPage.set(keys, { text, run });
}

function forgetPage() {
  ofPage.clear();
}

export function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (event.key.length !== 1 || localStorage.getItem(KEYS_OFF)) return;
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
  key("?", "These keys", help);
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
  const off = h("input", { type: "checkbox", checked: !localStorage.getItem(KEYS_OFF) });
  off.addEventListener("change", () =>
    off.checked ? localStorage.removeItem(KEYS_OFF) : localStorage.setItem(KEYS_OFF, "1"),
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
