// Charts of stored series: what was, and where it was expected.

import { get } from "./api.js";
import { chart } from "./chart.js";
import { selectorOf } from "./format.js";

const POINTS = 480;

/** @typedef {{seriesId: string, labels: import("./format.js").Label[], points: import("./chart.js").Points}} Series */

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

/** JSON writes what is infinite as text. @param {string | number} value */
function bound(value) {
  return value === "Infinity" ? Infinity : value === "-Infinity" ? -Infinity : Number(value);
}

/**
 * A chart of one series that draws itself, first the samples, then the range.
 *
 * @param {Series} series
 * @param {string} title
 * @param {import("./chart.js").Frame} frame
 * @param {AbortSignal} signal
 */
export function seriesChart(series, title, frame, signal) {
  const drawn = chart(title, {
    href: `/explore?selector=${encodeURIComponent(selectorOf(series.labels))}`,
  });
  let points = series.points;
  drawn.set(points, frame);
  const ready = expected(series.seriesId, frame.startMs, frame.endMs, signal).then(
    (found) => {
      if (found) drawn.set((points = found), frame);
    },
    () => {},
  );
  return {
    element: drawn.element,
    ready,
    redraw: (/** @type {import("./chart.js").Frame} */ next) => drawn.set(points, next),
  };
}
