// Times, numbers, labels and what they are of, as people read them.

import { h } from "./dom.js";

/** @typedef {{name: string, value: string}} Label */

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const seconds = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

let skewMs = 0;

/** The server's clock, so that "2 min ago" holds on a machine whose clock is off. */
export function now() {
  return Date.now() + skewMs;
}

/** @param {string | undefined} serverTime */
export function noteServerTime(serverTime) {
  const time = serverTime ? Date.parse(serverTime) : NaN;
  if (Number.isFinite(time)) skewMs = time - Date.now();
}

/** @param {string | undefined} time RFC 3339 */
export function ms(time) {
  return time ? Date.parse(time) : NaN;
}

/**
 * A time element: the clock today, the day before that, the whole on hover and to screen readers.
 *
 * @param {string | undefined} time RFC 3339
 */
export function timeOf(time) {
  const element = document.createElement("time");
  if (!time) return element;
  const date = new Date(time);
  const isToday = new Date(now()).toDateString() === date.toDateString();
  element.dateTime = time;
  element.title = exact.format(date);
  element.textContent = isToday ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`;
  return element;
}

/** How long, in the one or two largest units. @param {number} milliseconds */
export function span(milliseconds) {
  const whole = Math.max(0, Math.round(milliseconds / 1000));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48)
    return minutes % 60 && hours < 10 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

/** @param {string | undefined} time RFC 3339 */
export function since(time) {
  return span(now() - ms(time));
}

/** A number with as many digits as tell something. @param {number} value */
export function figure(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-4)) return value.toExponential(2);
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 4;
  return value.toLocaleString(undefined, { maximumFractionDigits: digits });
}

/** @type {[RegExp, [number, string][]][]} name of a metric, and its units from the largest down */
const UNITS = [
  [/_ratio$/, [[0.01, "%"]]],
  [/_(percent|percentage|pct)$/, [[1, "%"]]],
  [
    /_bytes(_total)?$/,
    [
      [1e12, "TB"],
      [1e9, "GB"],
      [1e6, "MB"],
      [1e3, "kB"],
      [1, "B"],
    ],
  ],
  [
    /_bytes_per_second$/,
    [
      [1e9, "GB/s"],
      [1e6, "MB/s"],
      [1e3, "kB/s"],
      [1, "B/s"],
    ],
  ],
  [
    /_seconds$/,
    [
      [1, "s"],
      [1e-3, "ms"],
      [1e-6, "µs"],
    ],
  ],
  [/_(ms|milliseconds)$/, [[1, "ms"]]],
];
/** Seconds since the epoch are no duration. */
const INSTANT_S = 1e9;

/**
 * How values of a metric are written: in the unit that its name ends with, as Prometheus asks of names.
 *
 * @param {string} name
 * @returns {(value: number) => string}
 */
export function figureOf(name) {
  const units = UNITS.find(([pattern]) => pattern.test(name))?.[1];
  return (value) => {
    const size = Math.abs(value);
    if (!units || !Number.isFinite(value) || (name.endsWith("_seconds") && size >= INSTANT_S))
      return figure(value);
    const last = /** @type {[number, string]} */ (units[units.length - 1]);
    const [unit, sign] = size ? (units.find(([each]) => size >= each) ?? last) : last;
    return `${figure(Number((value / unit).toPrecision(3)))} ${sign}`;
  };
}

/** Whether a metric is a share, of which nothing is the natural ground. @param {string} name */
export function isShare(name) {
  return /_(ratio|percent|percentage|pct)$/.test(name);
}

/**
 * Text of the services, whose times are UTC, with times as the clock of the reader shows them.
 *
 * @param {string} text
 * @param {number} nearMs about when it happened: tells the day where the text does not
 * @returns {(string | HTMLTimeElement)[]}
 */
export function localTimes(text, nearMs) {
  return text.split(/((?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d UTC)/).map((part, index) => {
    if (index % 2 === 0) return part;
    const [time, date] = part.replace(" UTC", "").split(" ").reverse();
    const days = date ? [date] : [-1, 0, 1].map((each) => dayOf(nearMs + each * 86_400_000));
    const found = days
      .map((each) => Date.parse(`${each}T${time}Z`))
      .sort((a, b) => Math.abs(a - nearMs) - Math.abs(b - nearMs))[0];
    if (found === undefined || !Number.isFinite(found)) return part;
    const element = timeOf(new Date(found).toISOString());
    element.textContent = toTheSecond(new Date(found));
    return element;
  });
}

/** @param {number} milliseconds */
function dayOf(milliseconds) {
  return Number.isFinite(milliseconds) ? new Date(milliseconds).toISOString().slice(0, 10) : "";
}

/** @param {Date} date */
function toTheSecond(date) {
  const isToday = new Date(now()).toDateString() === date.toDateString();
  return isToday ? seconds.format(date) : `${day.format(date)} ${seconds.format(date)}`;
}

/** @param {Label[] | undefined} labels @param {string} name */
export function label(labels, name) {
  return labels?.find((each) => each.name === name)?.value ?? "";
}

/** Labels that say what an alert or a series is about, in the order in which incidents ask them. */
const PLACES = ["service", "service_name", "app", "job", "instance", "host", "pod"];
/** Jobs that read machines: what is wrong there is wrong with one machine. */
const MACHINE_JOBS = ["node", "node_exporter", "node-exporter"];

/** What an alert or a series is about: its service, host or instance. @param {Label[] | undefined} labels */
export function place(labels) {
  const values = PLACES.map((name) => [name, label(labels, name)]);
  const found = values.find(
    ([name, value]) => value && !(name === "job" && MACHINE_JOBS.includes(value)),
  );
  return found?.[1] ?? "";
}

/** A series as Prometheus writes it. @param {Label[]} labels */
export function selectorOf(labels) {
  const rest = labels.filter((each) => each.name !== "__name__");
  const matchers = rest.map((each) => `${quoted(each.name)}=${JSON.stringify(each.value)}`);
  const name = label(labels, "__name__");
  const plain = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);
  if (plain) return matchers.length ? `${name}{${matchers.join(",")}}` : name;
  return `{${[JSON.stringify(name), ...matchers].join(",")}}`;
}

/** Where a series is shown alone. @param {Label[]} labels */
export function exploreOf(labels) {
  return `/explore?selector=${encodeURIComponent(selectorOf(labels))}`;
}

/** @param {string} name */
function quoted(name) {
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) ? name : JSON.stringify(name);
}

/** "SEVERITY_CRITICAL" as "critical". @param {string | undefined} name @param {string} prefix */
export function enumWord(name, prefix) {
  return (name ?? "").replace(`${prefix}_`, "").toLowerCase().replaceAll("_", " ");
}

/** @param {string | undefined} severity */
export function severityWord(severity) {
  const word = enumWord(severity, "SEVERITY");
  return word === "unspecified" ? "info" : word;
}

/** For sorting: the worst first. @param {string | undefined} severity */
export function severityRank(severity) {
  return ["info", "warning", "critical"].indexOf(severityWord(severity));
}

/** @param {number} count @param {string} one @param {string} [many] */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`;
}

/** A reason that says itself what it is about. */
const GROUP = /^\d+ series of /;
const LONG = 300;
/** An owner who has done nothing for so long is shown as silent. */
const IDLE_MS = 30 * 60_000;

/** Shape and word, never colour alone. @param {string | undefined} severity */
export function severity(severity) {
  const word = severityWord(severity);
  const shape = { critical: "◆", warning: "▲", info: "●" }[word] ?? "●";
  return h(
    "span",
    { class: `severity ${word}` },
    h("span", { "aria-hidden": true }, shape),
    ` ${word}`,
  );
}

/** @param {Label[] | undefined} labels @param {string[]} [without] */
export function labelList(labels, without = []) {
  const shown = (labels ?? []).filter((each) => !without.includes(each.name));
  return h(
    "ul",
    { class: "labels", "aria-label": "Labels" },
    ...shown.map((each) => h("li", {}, h("bdi", {}, `${each.name}=${each.value}`))),
  );
}

/** Text of senders: direction kept to itself, so that it cannot turn the line around. @param {string} text */
export function senderText(text) {
  if (text.length > LONG) return h("bdi", {}, text);
  // names of metrics break behind their parts, not within
  const parts = text.split(/(?<=_)(?!_)/);
  return h("bdi", {}, ...parts.flatMap((part, index) => (index ? [h("wbr"), part] : [part])));
}

/** @param {any} incident */
export function stateOf(incident) {
  const word = enumWord(incident.state, "INCIDENT_STATE");
  if (word === "resolved") return h("span", {}, "resolved ", timeOf(incident.resolveTime));
  const idle =
    incident.ownerActiveTime && now() - ms(incident.ownerActiveTime) >= IDLE_MS
      ? `, silent for ${since(incident.ownerActiveTime)}`
      : "";
  const owner = incident.owner
    ? `${incident.owner.replace(/^user:/, "")} is on it${idle}`
    : "nobody owns it";
  return h(
    "span",
    {},
    `${word} for ${since(incident.startTime)}`,
    incident.mute ? " · muted" : "",
    ` · ${owner}`,
  );
}

/** What an alert says, in one line. @param {any} alert */
export function alertTitle(alert) {
  const summary = label(alert.annotations, "summary") || label(alert.annotations, "description");
  return label(alert.labels, "alertname") || summary || "alert";
}

/** What an anomaly says, in one line. @param {any} anomaly */
export function anomalyTitle(anomaly) {
  const name = label(anomaly.labels, "__name__"),
    where = place(anomaly.labels);
  const what = where ? `${where} · ${name}` : name;
  if (!anomaly.reason) return `${what} is abnormal`;
  return GROUP.test(anomaly.reason) ? anomaly.reason : `${what}: ${anomaly.reason}`;
}

/** The same, with times as the reader's clock shows them. @param {any} anomaly */
export function anomalyName(anomaly) {
  return h("bdi", {}, ...localTimes(anomalyTitle(anomaly), ms(anomaly.eventTime)));
}

/** What people did, in one line. @param {any} change */
export function changeText(change) {
  const kind = enumWord(change.kind, "CHANGE_KIND");
  return `${kind} of ${change.service}: ${change.text || change.changeId}`;
}

/** @param {any[]} changes */
export function changeItems(changes) {
  return changes.map((each) => h("li", {}, timeOf(each.time), " ", senderText(changeText(each))));
}

/** A text without its marks of evidence, for where there is none to link to. @param {string} text @param {string | undefined} time */
export function plainText(text, time) {
  return localTimes(text.replace(/\s*\[E\d+\]/g, ""), ms(time));
}
