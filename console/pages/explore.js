// A selector becomes charts with the expected range; a week ago beside it.

import { get } from "../api.js";
import { fill, h, link, messageOf } from "../dom.js";
import { counted, label, ms, now, place, selectorOf, timeOf } from "../format.js";
import { onPage } from "../keys.js";
import { anomalyTitle, foreign, severity } from "../parts.js";
import { setQuery } from "../router.js";
import { firstSamples, seriesChart } from "../series.js";

const MOST = 12;
const REFRESH_MS = 15_000;
const WEEK_MS = 7 * 86_400_000;
/** @type {[string, string][]} */
const SPANS = [
  ["900", "15 min"],
  ["3600", "1 h"],
  ["10800", "3 h"],
  ["43200", "12 h"],
  ["86400", "1 day"],
  ["604800", "7 days"],
];

/** @param {import("../router.js").Visit} visit */
export async function show({ main, query, signal, title }) {
  title("Explore");
  const selector = h("input", {
    id: "selector",
    list: "metrics",
    value: query.get("selector") ?? "",
    placeholder: 'cpu_percent{host="a"}',
    spellcheck: false,
    autocapitalize: "none",
    autocomplete: "off",
  });
  const metrics = h("datalist", { id: "metrics" });
  const range = h(
    "select",
    { id: "span" },
    ...SPANS.map(([value, text]) =>
      h("option", { value, selected: (query.get("span") ?? "3600") === value }, text),
    ),
  );
  const compare = h("input", { id: "compare", type: "checkbox", checked: query.has("compare") });
  const form = h(
    "form",
    { class: "inline", role: "search" },
    h("label", { for: "selector" }, "Selector"),
    selector,
    metrics,
    h("label", { for: "span" }, "Span"),
    range,
    h("label", {}, compare, " beside a week ago"),
    h("button", {}, "Show"),
  );
  const found = h("p", { role: "status" }),
    charts = h("div", { class: "charts" }),
    anomalies = h("ul", { class: "plain-list" });
  main.append(
    h("h1", {}, "Explore"),
    form,
    found,
    h("h2", { class: "visually-hidden" }, "Charts"),
    charts,
    h("h2", {}, "Anomalies in this span"),
    anomalies,
  );

  let last = new AbortController();
  /** What was asked for last: what is half typed is not asked by the clock. */
  let asked = read();

  function read() {
    return { text: selector.value.trim(), spanS: Number(range.value), before: compare.checked };
  }

  async function load() {
    last.abort();
    last = new AbortController();
    const both = AbortSignal.any([signal, last.signal]);
    const endMs = now(),
      startMs = endMs - asked.spanS * 1000;
    const text = asked.text || (await anyMetric(both));
    if (!asked.text) selector.placeholder = text;
    if (!text) return fill(found, "No series yet. ", link("/", {}, "How to send the first sample"));
    try {
      const [{ list, more }, { list: before }, marked] = await Promise.all([
        firstSamples(text, startMs, endMs, MOST, both),
        asked.before
          ? firstSamples(text, startMs - WEEK_MS, endMs - WEEK_MS, MOST, both)
          : { list: [] },
        get(
          "/api/v1/anomalies",
          {
            selector: text,
            startTime: new Date(startMs).toISOString(),
            excludeMembers: true,
            pageSize: 20,
          },
          both,
        ),
      ]);
      const anomalous = marked.anomalies ?? [];
      fill(
        found,
        `${counted(list.length, "series", "series")} of ${text}${more ? ": there are more, narrow the selector" : ""}`,
      );
      fill(
        charts,
        ...list.map((series) => {
          const marks = anomalous
            .filter((/** @type {any} */ each) => each.seriesId === series.seriesId)
            .map((/** @type {any} */ each) => ({ ms: ms(each.eventTime), text: each.reason }));
          const past = before.find((each) => each.seriesId === series.seriesId)?.points;
          const frame = {
            startMs,
            endMs,
            marks,
            before: past && {
              times: past.times.map((time) => time + WEEK_MS),
              values: past.values,
            },
          };
          return seriesChart(series, titleOf(series.labels, list), frame, both).element;
        }),
      );
      fill(
        anomalies,
        ...anomalous.map((/** @type {any} */ each) =>
          h(
            "li",
            {},
            timeOf(each.eventTime),
            " ",
            severity(each.severity),
            " ",
            link(
              `/anomalies/${encodeURIComponent(each.anomalyId)}`,
              {},
              foreign(anomalyTitle(each)),
            ),
          ),
        ),
      );
      if (!anomalies.children.length) fill(anomalies, h("li", {}, "None."));
    } catch (error) {
      if (!both.aborted) fill(found, h("span", { class: "fault" }, messageOf(error)));
    }
  }

  /** Something to look at before anything was asked for. @param {AbortSignal} within */
  async function anyMetric(within) {
    const { series = [] } = await get("/api/v1/series", { pageSize: 1000 }, within);
    const names = [
      ...new Set(series.map((/** @type {any} */ each) => label(each.labels, "__name__"))),
    ].sort();
    metrics.replaceChildren(...names.map((name) => h("option", { value: name })));
    return names.find((name) => /cpu_utilization_ratio|cpu.*percent|cpu_usage/.test(name)) ?? names[0] ?? "";
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    asked = read();
    setQuery({ selector: selector.value, span: range.value, compare: compare.checked ? "1" : "" });
    load();
  });
  onPage("/", "Selector", () => selector.focus());
  const timer = setInterval(() => {
    // what is read or pointed at stays as it is
    if (!document.hidden && !main.querySelector(".charts:is(:hover, :focus-within, :has([open]))"))
      load();
  }, REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  await Promise.all([load(), anyMetric(signal)]);
}

/** What tells a series from the others. @param {import("../format.js").Label[]} labels @param {{labels: import("../format.js").Label[]}[]} all */
function titleOf(labels, all) {
  const differs = labels.filter(
    (each) =>
      each.name !== "__name__" &&
      all.some((other) => label(other.labels, each.name) !== each.value),
  );
  const name = label(labels, "__name__");
  const what = differs.length ? differs.map((each) => each.value).join(" · ") : place(labels);
  return what ? `${what} · ${name}` : name || selectorOf(labels);
}
