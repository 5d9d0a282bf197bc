// Pieces that several pages show: severities, labels, incidents in a row, evidence, suspects.

import { h, link } from "./dom.js";
import {
  enumWord,
  exploreOf,
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
export function foreign(text) {
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
  return changes.map((each) => h("li", {}, timeOf(each.time), " ", foreign(changeText(each))));
}

/**
 * Text in which [E1], [E2] link to the evidence below, and times are those of the reader's clock.
 *
 * @param {string} text
 * @param {any[]} evidence
 * @param {string | undefined} time RFC 3339, about when it happened
 */
export function cited(text, evidence, time) {
  const known = new Set(evidence.map((each) => each.evidenceId));
  /** @type {(string | HTMLElement)[]} */
  const parts = [];
  for (const part of text.split(/(\[E\d+\])/)) {
    const id = part.slice(1, -1);
    if (known.has(id)) parts.push(h("a", { href: `#${id}`, class: "cite" }, part));
    else parts.push(...localTimes(part, ms(time)));
  }
  return parts;
}

/** The same without marks of evidence, for where there is none to link to. @param {string} text @param {string | undefined} time */
export function told(text, time) {
  return localTimes(text.replace(/\s*\[E\d+\]/g, ""), ms(time));
}

/** @param {any[] | undefined} suspects */
export function suspectList(suspects) {
  if (!suspects?.length) return null;
  return h(
    "section",
    { "aria-labelledby": "suspects" },
    h("h2", { id: "suspects" }, "Suspects"),
    h(
      "ol",
      { class: "suspects" },
      ...suspects.map((each) => {
        const reasons = (each.reasons ?? [])
          .map((/** @type {any} */ reason) => reason.text ?? reason.reason ?? "")
          .filter(Boolean);
        const text = reasons.length ? reasons : [each.reason].filter(Boolean);
        return h(
          "li",
          {},
          link(`/services/${encodeURIComponent(each.entity)}`, {}, each.entity),
          ` ${Math.round((each.confidence ?? 0) * 100)} %`,
          h("ul", {}, ...text.map((/** @type {string} */ one) => h("li", {}, foreign(one)))),
        );
      }),
    ),
  );
}

/** @param {any[]} evidence */
export function evidenceList(evidence) {
  if (!evidence?.length) return null;
  return h(
    "section",
    { "aria-labelledby": "evidence" },
    h("h2", { id: "evidence" }, "Evidence"),
    h(
      "ol",
      { class: "evidence" },
      ...evidence.map((each) =>
        h(
          "li",
          { id: each.evidenceId, tabindex: -1 },
          h("span", { class: "id" }, each.evidenceId),
          " ",
          foreign(each.title),
          " ",
          reference(each),
        ),
      ),
    ),
  );
}

/** @param {any} evidence */
function reference(evidence) {
  const kind = enumWord(evidence.kind, "EVIDENCE_KIND");
  if (kind === "anomaly")
    return link(`/anomalies/${encodeURIComponent(evidence.referenceId)}`, {}, "anomaly");
  if (kind === "alert")
    return link(`/alerts/${encodeURIComponent(evidence.referenceId)}`, {}, "alert");
  if (label(evidence.labels, "__name__"))
    return link(exploreOf(evidence.labels), {}, "chart");
  if (/^https?:\/\//.test(evidence.link ?? ""))
    return link(evidence.link, { target: "_blank", rel: "noreferrer" }, "trace");
  return null;
}
