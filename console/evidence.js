// What an explanation rests on: suspects, evidence, and a text that links to it.

import { h, link } from "./dom.js";
import { enumWord, exploreOf, label, localTimes, ms, senderText } from "./format.js";

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
          h("ul", {}, ...text.map((/** @type {string} */ one) => h("li", {}, senderText(one)))),
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
          senderText(each.title),
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
