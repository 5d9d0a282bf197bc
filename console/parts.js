// Pieces that several pages show: severities, labels, incidents in a row.

import { h } from "./dom.js";
import {
  enumWord,
  label,
  localTimes,
  ms,
  now,
  place,
  severityWord,
  since,
  timeOf,
} from "./format.js";

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

/** @param {import("./format.js").Label[] | undefined} labels @param {string[]} [without] */
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
