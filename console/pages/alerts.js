// All alert episodes, newest first, by a Prometheus selector.

import { get } from "../api.js";
import { fill, h, link, say, messageOf } from "../dom.js";
import { enumWord, ms, place, timeOf } from "../format.js";
import { onPage } from "../keys.js";
import { alertTitle, foreign, severity } from "../parts.js";
import { go, setQuery } from "../router.js";
import { rows } from "../rows.js";
import { live } from "../stream.js";

const PAGE = 500;

/** @param {import("../router.js").Visit} visit */
export async function show({ main, query, signal, title }) {
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
    isLoading = false;
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
    cells: (each) => [
      severity(each.severity),
      link(
        `/alerts/${encodeURIComponent(each.alertId)}`,
        { tabindex: -1 },
        foreign(alertTitle(each)),
      ),
      foreign(place(each.labels)),
      enumWord(each.state, "ALERT_STATE"),
      timeOf(each.startTime),
    ],
  });
  main.append(h("h1", {}, "Alerts"), form, fault, list.element);

  /** @param {boolean} isFirst */
  async function load(isFirst) {
    if (isLoading || (!isFirst && !nextPage)) return;
    isLoading = true;
    try {
      const answer = await get(
        "/api/v1/alerts",
        {
          selector: selector.value,
          state: state.value,
          pageSize: PAGE,
          pageToken: isFirst ? "" : nextPage,
        },
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
      isLoading = false;
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    setQuery({ selector: selector.value, state: state.value });
    load(true);
  });
  onPage("/", "Filter", () => selector.focus());
  onPage("j", "Next alert", () => list.move(1));
  onPage("k", "Previous alert", () => list.move(-1));
  live.addEventListener(
    "alerts",
    (event) => {
      const { alert } = /** @type {CustomEvent} */ (event).detail.frame;
      const isKnown = alert && list.items().some((each) => each.alertId === alert.alertId);
      // a filter holds for what comes, too; who filters by selector asks again
      if (
        alert &&
        (isKnown ||
          (!selector.value &&
            (!state.value || enumWord(alert.state, "ALERT_STATE") === state.value) &&
            ms(alert.startTime)))
      )
        list.update(alert);
    },
    { signal },
  );
  await load(true);
}
