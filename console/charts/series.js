// Charts of stored series: what was, and where it was expected.

import { get } from "../api.js";
import { chart } from "./chart.js";
import { fill } from "../dom.js";
import { exploreOf, label, selectorOf } from "../format.js";
import { titlesOf } from "./titles.js";

const POINTS = 480;
const REFRESH_MS = 15_000;
/** A span is shown from where its data begin, when they fill less than this part of it. */
const YOUNG = 0.5;
const LEAST_SPAN_MS = 300_000;

/** @typedef {{seriesId: string, labels: import("../format.js").Label[], points: import("./chart.js").Points}} Series */

/** The first series that a selector finds, with their samples; `more` when there are others. */
/** @param {string} selector @param {number} startMs @param {number} endMs @param {number} most @param {AbortSignal} signal */
export async function firstSamples(selector, startMs, endMs, most, signal) {
  const { series = [], nextPageToken } = await get(
    "/api/v1/series",
    { selector, pageSize: most },
    signal,
  );
  if (!nextPageToken)
    return { list: await samples(selector, startMs, endMs, { most, signal }), more: false };
  const each = series.map((/** @type {any} */ one) =>
    samples(selectorOf(one.labels), startMs, endMs, { most: 2, signal }),
  );
  return { list: /** @type {Series[][]} */ (await Promise.all(each)).flat(), more: true };
}

/** The series that a selector finds, with their samples. */
/** @param {string} selector @param {number} startMs @param {number} endMs @param {{most?: number, signal?: AbortSignal}} [options] @returns {Promise<Series[]>} */
export async function samples(selector, startMs, endMs, { most = 12, signal } = {}) {
  const answer = await get(
    "/api/v1/samples",
    {
      selector,
      startTime: new Date(startMs).toISOString(),
      endTime: new Date(endMs).toISOString(),
      maxPoints: POINTS,
      maxSeries: most,
    },
    signal,
  );
  /** @type {Map<string, Series>} */
  const found = new Map();
  for (const part of answer.series ?? []) {
    const { seriesId, labels } = part.series;
    /** @type {Series} */
    const series = found.get(seriesId) ?? { seriesId, labels, points: { times: [], values: [] } };
    series.points.times.push(...part.timestampsMs.map(Number));
    series.points.values.push(...part.values.map(Number));
    found.set(seriesId, series);
  }
  return [...found.values()];
}

/** The same samples with the range in which each was expected; without one where none is known. */
/** @param {string} seriesId @param {number} startMs @param {number} endMs @param {AbortSignal} [signal] @returns {Promise<import("./chart.js").Points | null>} */
export async function expected(seriesId, startMs, endMs, signal) {
  try {
    const answer = await get(
      `/api/v1/series/${seriesId}/expected-range`,
      {
        startTime: new Date(startMs).toISOString(),
        endTime: new Date(endMs).toISOString(),
        maxPoints: POINTS,
      },
      signal,
    );
    if (!answer.timestampsMs?.length) return null;
    const numbers = (/** @type {(string | number)[]} */ list) => list.map(bound);
    return {
      times: numbers(answer.timestampsMs),
      values: numbers(answer.values),
      low: numbers(answer.low),
      high: numbers(answer.high),
    };
  } catch (error) {
    if (error instanceof DOMException) throw error;
    return null;
  }
}

/** Samples with the range of those for which it is known: the first of a series have none. */
/** @param {import("./chart.js").Points} points @param {import("./chart.js").Points} found @returns {import("./chart.js").Points} */
export function ranged(points, found) {
  const begin = found.times[0] ?? Infinity;
  const before = points.times.filter((time) => time < begin).length;
  const none = Array(before).fill(NaN);
  return {
    times: [...points.times.slice(0, before), ...found.times],
    values: [...points.values.slice(0, before), ...found.values],
    low: [...none, ...(found.low ?? [])],
    high: [...none, ...(found.high ?? [])],
  };
}

/** JSON writes what is infinite as text. @param {string | number} value */
function bound(value) {
  return value === "Infinity" ? Infinity : value === "-Infinity" ? -Infinity : Number(value);
}

/** Where a time axis begins: with the data, when all of them are young. */
/** @param {Series[]} list @param {number} startMs @param {number} endMs */
export function beginOf(list, startMs, endMs) {
  const firstMs = Math.min(...list.map((each) => each.points.times[0] ?? Infinity));
  if (!Number.isFinite(firstMs) || endMs - firstMs > YOUNG * (endMs - startMs)) return startMs;
  return Math.max(startMs, Math.min(firstMs, endMs - LEAST_SPAN_MS));
}

/** Shows charts: at once where there are none yet, otherwise when their ranges are there, too. */
/** @param {HTMLElement} place @param {{element: HTMLElement, ready: Promise<void>}[]} drawn @param {AbortSignal} signal @param {Node[]} [rest] */
export async function showCharts(place, drawn, signal, rest = []) {
  if (place.querySelector("figure")) await Promise.all(drawn.map((each) => each.ready));
  if (signal.aborted) return;
  fill(place, ...drawn.map((each) => each.element), ...rest);
}

/** Draws charts anew as time goes on; what is read or pointed at stays as it is. */
/** @param {HTMLElement} place @param {() => unknown} work @param {AbortSignal} signal */
export function refreshed(place, work, signal) {
  const timer = setInterval(() => {
    if (!document.hidden && !place.matches(":is(:hover, :focus-within, :has([open]))")) work();
  }, REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}

/**
 * Charts of all series of a page, whose titles tell them apart.
 *
 * @param {Series[]} list
 * @param {(series: Series) => import("./chart.js").Frame} frameOf
 * @param {AbortSignal} signal
 * @param {(labels: import("../format.js").Label[]) => string} [nameOf] what titles say in any case
 */
export function seriesCharts(list, frameOf, signal, nameOf) {
  const titles = titlesOf(
    list.map((each) => each.labels),
    nameOf,
  );
  return list.map((each, index) => seriesChart(each, titles[index] ?? "", frameOf(each), signal));
}

/**
 * A chart of one series that draws itself, first the samples, then the range.
 *
 * @param {Series} series
 * @param {string} title
 * @param {import("./chart.js").Frame} frame
 * @param {AbortSignal} signal
 */
function seriesChart(series, title, frame, signal) {
  const drawn = chart(title, {
    href: exploreOf(series.labels),
    metric: label(series.labels, "__name__"),
  });
  let points = series.points;
  drawn.set(points, frame);
  const ready = expected(series.seriesId, frame.startMs, frame.endMs, signal).then(
    (found) => {
      if (found) drawn.set((points = ranged(points, found)), frame);
    },
    () => {},
  );
  return { element: drawn.element, ready };
}
