// A chart of one series: the value, the range that was expected, what was abnormal, and changes as
// ticks. Drawn on a canvas; a caption says the same in words, a table holds the figures, and the
// arrow keys read it point by point.

import { h, headRow, say } from "../dom.js";
import { figureOf, isShare } from "../format.js";

/**
 * @typedef {object} Points Columns of equal length, oldest first; ranges may be missing.
 * @property {number[]} times milliseconds since the epoch
 * @property {number[]} values
 * @property {number[]} [low]
 * @property {number[]} [high]
 *
 * @typedef {object} Frame What several charts share: one time axis.
 * @property {number} startMs
 * @property {number} endMs
 * @property {{ms: number, text: string}[]} [marks]
 * @property {Points} [before] the same span a week ago, moved to this one
 */

const PAD = { left: 56, right: 8, top: 8, bottom: 20 };
const HALF_A_LABEL = 28;
const TABLE_ROWS = 24;
/** The axis spans at least this part of the largest value. */
const LEAST_SPREAD = 0.02;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/**
 * @param {string} title
 * @param {{href?: string, metric?: string}} [options] `metric`: its name, which tells the unit
 */
export function chart(title, { href, metric = "" } = {}) {
  const figure = figureOf(metric);
  const canvas = h("canvas", { tabindex: 0, role: "img", "aria-label": title });
  const latest = h("span", { class: "latest" });
  const caption = h("p", { class: "visually-hidden" });
  const rows = h("tbody");
  const table = h(
    "details",
    { class: "figures" },
    h("summary", {}, "Figures"),
    h("table", {}, h("caption", { class: "visually-hidden" }, title), headRow(["Time", "Value", "Expected"]), rows),
  );
  const heading = h("h3", {}, href ? h("a", { href }, title) : title);
  const element = h(
    "figure",
    { class: "chart" },
    h("div", { class: "chart-head" }, heading, latest),
    canvas,
    caption,
    table,
  );

  /** @type {Points} */
  let points = { times: [], values: [] };
  /** @type {Frame} */
  let frame = { startMs: 0, endMs: 1 };
  let at = -1;

  function draw() {
    paint(canvas, points, frame, at, metric);
  }

  /** @param {Points} next @param {Frame} within */
  function set(next, within) {
    points = next;
    frame = within;
    at = -1;
    const text = summary(points, figure);
    latest.textContent = text.short;
    caption.textContent = `${title}: ${text.long}`;
    canvas.setAttribute("aria-label", `${title}: ${text.long}`);
    if (table.open) tabulate();
    draw();
  }

  function tabulate() {
    const step = Math.max(1, Math.ceil(points.times.length / TABLE_ROWS));
    rows.replaceChildren(
      ...points.times
        .flatMap((_, index) => {
          if (index % step && index !== points.times.length - 1) return [];
          const { time, value, expected } = pointAt(points, index, figure);
          return [h("tr", {}, h("td", {}, time), h("td", {}, value), h("td", {}, expected))];
        })
        .reverse(),
    );
  }

  table.addEventListener("toggle", () => table.open && tabulate());
  canvas.addEventListener("keydown", (event) => {
    /** @type {Record<string, number>} */
    const moves = {
      ArrowLeft: -1,
      ArrowRight: 1,
      PageUp: -20,
      PageDown: 20,
      Home: -Infinity,
      End: Infinity,
    };
    const move = moves[event.key];
    if (move === undefined || !points.times.length) return;
    event.preventDefault();
    const last = points.times.length - 1;
    at = Math.min(last, Math.max(0, (at < 0 ? last : at) + move));
    const { time, value, expected } = pointAt(points, at, figure);
    say(`${time}: ${value}${expected ? `, expected ${expected}` : ""}`);
    draw();
  });
  canvas.addEventListener("blur", () => {
    at = -1;
    draw();
  });
  new ResizeObserver(draw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return { element, set };
}

/** @typedef {(value: number) => string} Figure */

/** @param {Points} points @param {number} index @param {Figure} figure */
function pointAt(points, index, figure) {
  const low = points.low?.[index],
    high = points.high?.[index];
  const isBound =
    low !== undefined && high !== undefined && Number.isFinite(low) && Number.isFinite(high);
  return {
    time: clock.format(points.times[index]),
    value: figure(points.values[index] ?? NaN),
    expected: isBound ? `${figure(low)} to ${figure(high)}` : "",
  };
}

/** @param {Points} points @param {Figure} figure */
function summary(points, figure) {
  const last = points.times.length - 1;
  if (last < 0) return { short: "no data", long: "no data in this span" };
  const { value, expected } = pointAt(points, last, figure);
  const peak = points.values.reduce(
    (best, each, index) => (each > (points.values[best] ?? -Infinity) ? index : best),
    0,
  );
  const { value: most, time } = pointAt(points, peak, figure);
  return {
    short: expected ? `${value} · expected ${expected}` : value,
    long: `now ${value}${expected ? `, expected ${expected}` : ""}; highest ${most} at ${time}`,
  };
}

/** @param {number[]} values */
function finite(values) {
  return values.filter(Number.isFinite);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Points} points
 * @param {Frame} frame
 * @param {number} at
 * @param {string} metric
 */
function paint(canvas, points, frame, at, metric) {
  const width = canvas.clientWidth,
    height = canvas.clientHeight,
    ratio = devicePixelRatio || 1;
  if (!width || !height) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  if (!pen) return;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const style = getComputedStyle(canvas);
  /** @param {string} name */
  const colour = (name) => style.getPropertyValue(name).trim();
  const figure = figureOf(metric);
  const [lowest, highest] = range(points, frame.before, isShare(metric));
  const x = (/** @type {number} */ time) =>
    PAD.left +
    ((time - frame.startMs) / (frame.endMs - frame.startMs)) * (width - PAD.left - PAD.right);
  const y = (/** @type {number} */ value) =>
    height - PAD.bottom - ((value - lowest) / (highest - lowest)) * (height - PAD.top - PAD.bottom);

  pen.font = `11px ${style.fontFamily}`;
  pen.lineWidth = 1;
  pen.fillStyle = colour("--quiet");
  pen.strokeStyle = colour("--line");
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const tick of ticks(lowest, highest, Math.max(2, Math.floor(height / 36)))) {
    // a longer one is narrowed: charts above each other share their axis
    pen.fillText(figure(tick), PAD.left - 6, y(tick), PAD.left - 8);
    line(pen, PAD.left, y(tick), width - PAD.right, y(tick));
  }
  pen.textAlign = "center";
  pen.textBaseline = "bottom";
  for (const time of hours(frame, Math.max(2, Math.floor(width / 90))))
    if (x(time) < width - HALF_A_LABEL) pen.fillText(clock.format(time), x(time), height - 3);

  band(pen, points, x, y, colour("--band"));
  for (const mark of frame.marks ?? []) {
    if (mark.ms < frame.startMs || mark.ms > frame.endMs) continue;
    pen.strokeStyle = colour("--mark");
    pen.setLineDash([3, 3]);
    line(pen, x(mark.ms), PAD.top, x(mark.ms), height - PAD.bottom);
    pen.setLineDash([]);
  }
  if (frame.before) trace(pen, frame.before, x, y, colour("--quiet"), colour("--quiet"));
  trace(pen, points, x, y, colour("--trace"), colour("--abnormal"));
  if (at >= 0) {
    pen.strokeStyle = colour("--text");
    line(pen, x(points.times[at] ?? 0), PAD.top, x(points.times[at] ?? 0), height - PAD.bottom);
  }
}

/** What the axis spans: a share from nothing on, anything else so that noise stays small. */
/** @param {Points} points @param {Points | undefined} before @param {boolean} isShare @returns {[number, number]} */
function range(points, before, isShare) {
  const all = [points.values, points.low ?? [], points.high ?? [], before?.values ?? []].map(
    finite,
  );
  let low = Infinity,
    high = -Infinity;
  for (const values of all)
    for (const value of values) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  if (low > high || (low === 0 && high === 0)) return [0, 1];
  const least = Math.max(Math.abs(low), Math.abs(high)) * LEAST_SPREAD;
  if (isShare && low >= 0) low = 0;
  const short = Math.max(0, least - (high - low)) / 2,
    room = Math.max(high - low, least) * 0.06;
  return [low === 0 && isShare ? 0 : low - short - room, high + short + room];
}

/** @param {number} low @param {number} high @param {number} most */
function ticks(low, high, most) {
  const raw = (high - low) / most,
    power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 2.5, 5, 10].find((each) => each * power >= raw) ?? 10) * power;
  const list = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high && list.length < 20; tick += step)
    list.push(tick || 0);
  return list;
}

/** @param {Frame} frame @param {number} most */
function hours(frame, most) {
  const spanMs = frame.endMs - frame.startMs;
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080].map(
    (minutes) => minutes * 60_000,
  );
  const step = steps.find((each) => spanMs / each <= most) ?? spanMs;
  const offset = new Date(frame.startMs).getTimezoneOffset() * 60_000;
  const list = [];
  for (
    let time = Math.ceil((frame.startMs - offset) / step) * step + offset;
    time < frame.endMs;
    time += step
  )
    list.push(time);
  return list;
}

/** @param {CanvasRenderingContext2D} pen @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
function line(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

/** The expected range, in pieces where it is known. */
/** @param {CanvasRenderingContext2D} pen @param {Points} points @param {(t: number) => number} x @param {(v: number) => number} y @param {string} colour */
function band(pen, points, x, y, colour) {
  const { low, high, times } = points;
  if (!low || !high) return;
  pen.fillStyle = colour;
  const isKnown = (/** @type {number} */ index) =>
    Number.isFinite(low[index]) && Number.isFinite(high[index]);
  for (let start = 0; start < times.length; start++) {
    if (!isKnown(start)) continue;
    let end = start;
    while (end + 1 < times.length && isKnown(end + 1)) end++;
    pen.beginPath();
    for (let index = start; index <= end; index++)
      pen.lineTo(x(times[index] ?? 0), y(high[index] ?? 0));
    for (let index = end; index >= start; index--)
      pen.lineTo(x(times[index] ?? 0), y(low[index] ?? 0));
    pen.fill();
    start = end;
  }
}

/** The values: outside of what was expected thicker and in another colour; gaps stay gaps. */
/** @param {CanvasRenderingContext2D} pen @param {Points} points @param {(t: number) => number} x @param {(v: number) => number} y @param {string} usual @param {string} abnormal */
function trace(pen, points, x, y, usual, abnormal) {
  const { times, values, low, high } = points;
  const gapMs = 5 * median(times.slice(1).map((time, index) => time - (times[index] ?? 0)));
  const isOut = (/** @type {number} */ index) =>
    Boolean(low && high) &&
    ((values[index] ?? 0) > (high?.[index] ?? Infinity) ||
      (values[index] ?? 0) < (low?.[index] ?? -Infinity));
  const isCut = (/** @type {number} */ index) =>
    !Number.isFinite(values[index]) || (times[index] ?? 0) - (times[index - 1] ?? 0) > gapMs;
  const isStart = (/** @type {number} */ index) =>
    !index || isCut(index) || !Number.isFinite(values[index - 1]);
  const isAlone = (/** @type {number} */ index) =>
    isStart(index) && (index === times.length - 1 || isCut(index + 1));
  for (const wanted of [false, true]) {
    pen.strokeStyle = wanted ? abnormal : usual;
    pen.lineWidth = wanted ? 2 : 1.25;
    pen.beginPath();
    for (let index = 0; index < times.length; index++) {
      if (!Number.isFinite(values[index])) continue;
      if (isStart(index) || isOut(index) !== wanted) {
        pen.moveTo(x(times[index] ?? 0), y(values[index] ?? 0));
        // one alone is a dot, or nobody would see it
        if (isOut(index) === wanted && isAlone(index))
          pen.lineTo(x(times[index] ?? 0) + 2, y(values[index] ?? 0));
      } else pen.lineTo(x(times[index] ?? 0), y(values[index] ?? 0));
    }
    pen.stroke();
  }
}

/** @param {number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Infinity;
}
