// All alert episodes, newest first, by a Prometheus selector.

import { get } from "../api.js";
import { fill, h, link, say, messageOf } from "../dom.js";
import {
  alertTitle,
  counted,
  enumWord,
  ms,
  place,
  senderText,
  severity,
  severityWord,
  timeOf,
} from "../format.js";
import { go, pageKey, setQuery } from "../router.js";
import { rows } from "../rows.js";
import { live, whenWatched } from "../stream.js";

const PAGE = 100;
const RECOUNT_MS = 3000;
/** Counting may take one part in so many of the time. */
const RECOUNT_SHARE = 20;

/** @param {import("../router.js").Visit} visit */
export async function show({ main, query, signal, beganMs, title }) {
  title("Alerts");
  const selector = h("input", {
    id: "selector",
    value: query.get("selector") ?? "",
    placeholder: '{service="checkout"}',
    spellcheck: false,
    autocapitalize: "none",
    autocomplete: "off",
  });
  const state = h(
    "select",
    { id: "state" },
    ...[
      ["", "firing and resolved"],
      ["firing", "firing"],
      ["resolved", "resolved"],
    ].map(([value, text]) => h("option", { value, selected: query.get("state") === value }, text)),
  );
  const fault = h("p", { class: "fault", role: "alert", hidden: true });
  const form = h(
    "form",
    { class: "inline", role: "search" },
    h("label", { for: "selector" }, "Selector"),
    selector,
    h("label", { for: "state" }, "State"),
    state,
    h("button", {}, "Show"),
  );
  let nextPage = "",
    isLoading = false,
    isRenewing = false,
    isAsked = false,
    isCounting = false,
    recountMs = RECOUNT_MS;
  /** What comes while the first page is read. @type {any[]} */
  let early = [];
  const counts = h("p", { class: "facts", "aria-live": "off" });
  const list = rows({
    name: "Alerts",
    columns: ["Severity", "Alert", "Where", "State", "Since"],
    keyOf: (/** @type {any} */ each) => each.alertId,
    open: (each) => go(`/alerts/${encodeURIComponent(each.alertId)}`),
    empty: () =>
      h(
        "p",
        {},
        "No alert fits. Alertmanager sends to ",
        h("code", {}, `${location.origin}/api/v1/alerts`),
        "; ",
        link("/docs", { target: "_blank" }, "the API is described here"),
        ".",
      ),
    more: () => load(false),
    renew: () => load(true),
    cells: (each) => [
      severity(each.severity),
      link(
        `/alerts/${encodeURIComponent(each.alertId)}`,
        { tabindex: -1 },
        senderText(alertTitle(each)),
      ),
      senderText(place(each.labels)),
      enumWord(each.state, "ALERT_STATE"),
      timeOf(each.startTime),
    ],
  });
  main.append(h("h1", {}, "Alerts"), form, fault, counts, list.element);

  const read = () => ({ selector: selector.value.trim(), state: state.value });
  /** What was asked for last: what is half typed holds for nothing yet. */
  let asked = read();

  /** How many there are by now. */
  async function count() {
    const question = asked,
      beganMs = Date.now();
    const answer = await get("/api/v1/alerts:count", question, signal).catch(() => ({}));
    recountMs = Math.max(RECOUNT_MS, RECOUNT_SHARE * (Date.now() - beganMs));
    if (question === asked) counts.textContent = countsText(answer.counts ?? []);
  }

  /** Soon, however much comes: the more it costs, the more seldom. */
  async function recount() {
    if (isCounting) return;
    isCounting = true;
    await new Promise((done) => setTimeout(done, recountMs));
    isCounting = false;
    if (!signal.aborted) count();
  }

  /** @param {boolean} isFirst */
  async function load(isFirst) {
    if (isLoading) isAsked ||= isFirst;
    if (isLoading || (!isFirst && !nextPage)) return;
    isLoading = true;
    isRenewing = isFirst;
    if (isFirst) count();
    try {
      const answer = await get(
        "/api/v1/alerts",
        { ...asked, pageSize: PAGE, pageToken: isFirst ? "" : nextPage },
        signal,
      );
      nextPage = answer.nextPageToken ?? "";
      fault.hidden = true;
      if (isFirst) list.set(answer.alerts ?? []);
      else list.append(answer.alerts ?? []);
    } catch (error) {
      if (signal.aborted) return;
      fill(fault, messageOf(error));
      fault.hidden = false;
      say(messageOf(error));
    } finally {
      isLoading = isRenewing = false;
      const came = early;
      early = [];
      came.forEach(take);
      if (isAsked) {
        isAsked = false;
        load(true);
      }
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    asked = read();
    setQuery(asked);
    load(true);
  });
  pageKey("/", "Filter", () => selector.focus());
  pageKey("j", "Next alert", () => list.move(1));
  pageKey("k", "Previous alert", () => list.move(-1));
  /** Shows an alert as a frame tells it: a filter holds for what comes, too. @param {any} alert */
  function take(alert) {
    recount();
    const isKnown = list.items().some((each) => each.alertId === alert.alertId);
    // who filters by selector asks again
    const isWanted =
      !asked.selector && (!asked.state || enumWord(alert.state, "ALERT_STATE") === asked.state);
    if (isKnown || (isWanted && ms(alert.startTime))) list.update(alert);
  }

  live.addEventListener(
    "alerts",
    (event) => {
      const { alert } = /** @type {CustomEvent} */ (event).detail.frame;
      if (!alert) return;
      if (isRenewing) early.push(alert);
      else take(alert);
    },
    { signal },
  );
  whenWatched({ signal, beganMs }, async () => {
    const answer = await get("/api/v1/alerts", { ...asked, pageSize: PAGE }, signal);
    const known = new Map(list.items().map((each) => [each.alertId, JSON.stringify(each)]));
    for (const alert of answer.alerts ?? [])
      if (known.get(alert.alertId) !== JSON.stringify(alert)) list.update(alert);
  });
  await load(true);
}

/** `12 firing: 2 critical, 10 warning; 3 resolved`. @param {any[]} counts */
function countsText(counts) {
  const of = (/** @type {string} */ state) =>
    counts.filter((each) => enumWord(each.state, "ALERT_STATE") === state);
  const sum = (/** @type {any[]} */ list) => list.reduce((all, each) => all + each.count, 0);
  const firing = of("firing"),
    resolved = sum(of("resolved"));
  const parts = firing.map((each) => counted(each.count, severityWord(each.severity), severityWord(each.severity)));
  return [
    firing.length ? `${sum(firing).toLocaleString()} firing: ${parts.join(", ")}` : "",
    resolved ? `${resolved.toLocaleString()} resolved` : "",
  ]
    .filter(Boolean)
    .join("; ");
}
