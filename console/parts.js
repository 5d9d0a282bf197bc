// Pieces that several pages show: severities, labels, incidents in a row, evidence, suspects.

import { h, link } from "./dom.js";
import { enumWord, label, ms, now, place, severityWord, since, timeOf } from "./format.js";

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
  return h("bdi", {}, text);
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
  return (
    anomaly.reason || `${label(anomaly.labels, "__name__")} on ${place(anomaly.labels)} is abnormal`
  );
}

/**
 * Text in which [E1], [E2] link to the evidence below.
 *
 * @param {string} text
 * @param {any[]} [evidence]
 */
export function cited(text, evidence = []) {
  const known = new Set(evidence.map((each) => each.evidenceId));
  return text.split(/(\[E\d+\])/).map((part) => {
    const id = part.slice(1, -1);
    return known.has(id) ? h("a", { href: `#${id}`, class: "cite" }, part) : part;
  });
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
  if (/^https?:\/\//.test(evidence.link ?? ""))
    return link(evidence.link, { target: "_blank", rel: "noreferrer" }, "trace");
  return null;
}
