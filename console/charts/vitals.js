// What the agents read of their machines: something to look at before anything was asked for.

import { h } from "../dom.js";
import { label, now, place } from "../format.js";
import { beginOf, firstSamples, refreshed, seriesCharts, showCharts } from "./series.js";

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

/** @param {import("../format.js").Label[]} labels */
const rank = (labels) => NAMES.findIndex(([name]) => name === label(labels, "__name__"));

/** @param {import("../format.js").Label[]} labels */
function vitalName(labels) {
  const what = NAMES[rank(labels)]?.[1] ?? label(labels, "__name__");
  const where = place(labels);
  return [what, label(labels, "mountpoint"), where && `of ${where}`].filter(Boolean).join(" ");
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
  const shown = list.toSorted((a, b) => rank(a.labels) - rank(b.labels)).slice(0, SHOWN);
  return { list: shown, frame: { startMs: beginOf(shown, startMs, endMs), endMs } };
}

/** @param {Series[]} list @param {import("./chart.js").Frame} frame @param {AbortSignal} signal */
export function vitalCharts(list, frame, signal) {
  return seriesCharts(list, () => frame, signal, vitalName);
}

/** A section that draws itself anew while it is shown; nothing where no agent sends. */
/** @param {AbortSignal} signal */
export async function vitalSection(signal) {
  const charts = h("div", { class: "charts" });
  const draw = async () => {
    const { list, frame } = await vitals(SPAN_MS, signal);
    await showCharts(charts, vitalCharts(list, frame, signal), signal);
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
