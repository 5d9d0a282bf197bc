// One anomaly: the series with what was expected, why it is strange, and whether it deserved attention.

import { get, may, post } from "../api.js";
import { button, fill, h, headRow, link, say } from "../dom.js";
import {
  anomalyName,
  anomalyTitle,
  enumWord,
  figure,
  labelList,
  ms,
  now,
  selectorOf,
  senderText,
  severity,
  timeOf,
} from "../format.js";
import { samples, seriesCharts } from "../charts/series.js";
import { explanations } from "./explanation.js";

const AROUND_MS = 2 * 3600_000;

/** @param {import("../router.js").Visit} visit */
export async function show({ main, params, signal, title }) {
  const path = `/api/v1/anomalies/${encodeURIComponent(params.id ?? "")}`;
  const { anomaly } = await get(path, {}, signal);
  title(anomalyTitle(anomaly));
  const at = ms(anomaly.eventTime);
  const frame = {
    startMs: at - AROUND_MS,
    endMs: Math.min(now(), at + AROUND_MS),
    marks: [{ ms: at, text: "began" }],
  };
  const found = await samples(selectorOf(anomaly.labels), frame.startMs, frame.endMs, {
    most: 1,
    signal,
  }).catch(() => []);
  main.append(
    h(
      "p",
      { class: "facts" },
      severity(anomaly.severity),
      " since ",
      timeOf(anomaly.eventTime),
      anomaly.endTime ? h("span", {}, " until ", timeOf(anomaly.endTime)) : " · goes on",
    ),
    h("h1", {}, anomalyName(anomaly)),
    labelList(anomaly.labels),
    h("h2", { class: "visually-hidden" }, "Chart"),
    ...seriesCharts(found, () => frame, signal).map((each) => each.element),
    feedback(path, anomaly),
    ...(await explanations({ "subject.anomalyId": params.id ?? "" }, signal)),
    ...why(anomaly),
    ...members(anomaly),
  );
}

/** @param {any} anomaly */
function why(anomaly) {
  if (!anomaly.contributions?.length) return [];
  return [
    h("h2", {}, "Why it is strange"),
    h(
      "table",
      {},
      headRow(["Feature", "Value", "Share"]),
      h(
        "tbody",
        {},
        ...anomaly.contributions
          .slice(0, 8)
          .map((/** @type {any} */ each) =>
            h(
              "tr",
              {},
              h("td", {}, each.feature.replaceAll("_", " ")),
              h("td", {}, figure(Number(each.value))),
              h("td", {}, `${Math.round(each.share * 100)} %`),
            ),
          ),
      ),
    ),
  ];
}

/** @param {any} anomaly */
function members(anomaly) {
  if (!anomaly.members?.length) return [];
  return [
    h("h2", {}, "Began with it"),
    h(
      "ul",
      { class: "plain-list" },
      ...anomaly.members.map((/** @type {any} */ each) =>
        h(
          "li",
          {},
          timeOf(each.eventTime),
          " ",
          link(
            `/anomalies/${encodeURIComponent(each.anomalyId)}`,
            {},
            senderText(selectorOf(each.labels)),
          ),
        ),
      ),
    ),
  ];
}

/** @param {string} path @param {any} anomaly */
function feedback(path, anomaly) {
  const element = h("div", { class: "actions", role: "group", "aria-labelledby": "deserved" });
  const draw = (/** @type {string | undefined} */ verdict) => {
    const given = verdict
      ? [h("span", {}, `You called it a ${enumWord(verdict, "ANOMALY_VERDICT")}.`)]
      : [];
    const ask = may("write:analysis")
      ? ["TRUE_ALARM", "FALSE_ALARM"].map((each) =>
          button(
            each === "TRUE_ALARM" ? "True alarm" : "False alarm",
            async () => {
              await post(`${path}/feedback`, { verdict: `ANOMALY_VERDICT_${each}` });
              say("thank you: thresholds follow what you say");
              draw(`ANOMALY_VERDICT_${each}`);
            },
            { "data-key": each, "aria-pressed": String(verdict === `ANOMALY_VERDICT_${each}`) },
          ),
        )
      : [];
    fill(element, h("span", { id: "deserved" }, "Did it deserve attention?"), ...ask, ...given);
  };
  draw(anomaly.feedback?.verdict);
  return element;
}
