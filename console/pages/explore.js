// A selector becomes charts with the expected range; a week ago beside it.

import { get } from "../api.js";
import { fill, h, link, messageOf } from "../dom.js";
import { anomalyName, counted, label, ms, now, severity, timeOf } from "../format.js";
import { pageKey, setQuery } from "../router.js";
import { beginOf, firstSamples, refreshed, seriesCharts, showCharts } from "../charts/series.js";
import { vitalCharts, vitals } from "../charts/vitals.js";

const MOST = 12;
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
    try {
      if (!asked.text && !asked.before && (await drawVitals(both))) return;
      const text = asked.text || (await anyMetric(both));
      if (!asked.text) selector.placeholder = text;
      if (!text)
        return fill(found, "No series yet. ", link("/", {}, "How to send the first sample"));
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
      const beginMs = beginOf([...list, ...before.map(moved)], startMs, endMs);
      await showCharts(
        charts,
        seriesCharts(list, (series) => {
          const marks = anomalous
            .filter((/** @type {any} */ each) => each.seriesId === series.seriesId)
            .map((/** @type {any} */ each) => ({ ms: ms(each.eventTime), text: each.reason }));
          const past = before.find((each) => each.seriesId === series.seriesId);
          return { startMs: beginMs, endMs, marks, before: past && moved(past).points };
        }, both),
        both,
      );
      listAnomalies(anomalous);
    } catch (error) {
      if (!both.aborted) fill(found, h("span", { class: "fault" }, messageOf(error)));
    }
  }

  /** @param {any[]} list */
  function listAnomalies(list) {
    fill(
      anomalies,
      ...list.map((each) =>
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
            anomalyName(each),
          ),
        ),
      ),
    );
    if (!list.length) fill(anomalies, h("li", { class: "none" }, "None."));
  }

  /** What the agents read, before anything was asked for; false where none does. @param {AbortSignal} within */
  async function drawVitals(within) {
    const { list, frame } = await vitals(asked.spanS * 1000, within);
    if (!list.length) return false;
    fill(found, "What the agent reads of its machine. A selector above shows anything else.");
    await showCharts(charts, vitalCharts(list, frame, within), within);
    const { anomalies: recent = [] } = await get(
      "/api/v1/anomalies",
      { startTime: new Date(now() - asked.spanS * 1000).toISOString(), excludeMembers: true, pageSize: 20 },
      within,
    );
    listAnomalies(recent);
    return true;
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
  pageKey("/", "Selector", () => selector.focus());
  refreshed(charts, load, signal);
  await Promise.all([load(), anyMetric(signal)]);
}

/** A week later. @param {import("../charts/series.js").Series} series */
function moved(series) {
  const times = series.points.times.map((time) => time + WEEK_MS);
  return { ...series, points: { ...series.points, times } };
}
