// What the agents read of their machines: something to look at before anything was asked for.

import { h } from "../dom.js";
import { label, now, place } from "../format.js";
import { beginOf, firstSamples, refreshed, seriesChart, showCharts } from "./series.js";

const SPAN_MS = 3600_000;
const READ = 24;
const SHOWN = 6;
/** @type {[string, string][]} metric, and what people call it, in this order */
const NAMES = [
  ["node_cpu_utilization_ratio", "CPU"],
  ["node_memory_utilization_ratio", "Memory"],
  ["node_load1", "Load"],
  ["node_filesystem_utilization_ratio", "Disk"],
];
const SELECTOR = `{__name__=~"${NAMES.map(([name]) => name).join("|")}"}`;

/** @typedef {import("./series.js").Series} Series */

/** @param {Series} series */
const rank = (series) =>
  NAMES.findIndex(([name]) => name === label(series.labels, "__name__"));

/** @param {Series} series */
export function vitalTitle(series) {
  const what = NAMES[rank(series)]?.[1] ?? label(series.labels, "__name__");
  const where = place(series.labels);
  return [what, label(series.labels, "mountpoint"), where && `of ${where}`]
    .filter(Boolean)
    .join(" ");
}

/**
 * The first few, as they stood in a span that ends now.
 *
 * @param {number} spanMs
 * @param {AbortSignal} signal
 */
export async function vitals(spanMs, signal) {
  const endMs = now(),
    startMs = endMs - spanMs;
  const { list } = await firstSamples(SELECTOR, startMs, endMs, READ, signal);
  const shown = list.toSorted((a, b) => rank(a) - rank(b)).slice(0, SHOWN);
  return { list: shown, frame: { startMs: beginOf(shown, startMs, endMs), endMs } };
}

/** A section that draws itself anew while it is shown; nothing where no agent sends. */
/** @param {AbortSignal} signal */
export async function vitalSection(signal) {
  const charts = h("div", { class: "charts" });
  const draw = async () => {
    const { list, frame } = await vitals(SPAN_MS, signal);
    await showCharts(
      charts,
      list.map((series) => seriesChart(series, vitalTitle(series), frame, signal)),
      signal,
    );
    return list;
  };
  const found = await draw();
  if (!found.length) return "";
  refreshed(charts, () => draw().catch(() => {}), signal);
  const hosts = new Set(found.map((each) => place(each.labels)));
  return h(
    "section",
    { "aria-labelledby": "vitals" },
    h("h2", { id: "vitals" }, hosts.size > 1 ? "Machines, live" : "This machine, live"),
    charts,
  );
}
