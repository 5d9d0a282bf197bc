// One alert episode: its texts, its history, and what explains it.

import { get } from "../api.js";
import { h, link } from "../dom.js";
import { alertTitle, enumWord, label, labelList, senderText, severity, timeOf } from "../format.js";
import { explanations } from "./explanation.js";

/** @param {import("../router.js").Visit} visit */
export async function show({ main, params, signal, title }) {
  const id = encodeURIComponent(params.id ?? "");
  const { alert, history = [] } = await get(`/api/v1/alerts/${id}`, {}, signal);
  title(alertTitle(alert));
  const texts = ["summary", "description"]
    .map((name) => label(alert.annotations, name))
    .filter(Boolean);
  main.append(
    h(
      "p",
      { class: "facts" },
      severity(alert.severity),
      " ",
      enumWord(alert.state, "ALERT_STATE"),
      " since ",
      timeOf(alert.startTime),
    ),
    h("h1", {}, senderText(alertTitle(alert))),
    ...texts.map((text) => h("p", {}, senderText(text))),
    labelList(alert.labels),
    ...(await explanations({ "subject.alertId": params.id ?? "" }, signal)),
    h("h2", {}, "History"),
    h(
      "ol",
      { class: "timeline" },
      ...history.map((/** @type {any} */ each) =>
        h("li", {}, timeOf(each.commitTime), " ", enumWord(each.state, "ALERT_STATE")),
      ),
    ),
    h(
      "p",
      {},
      link(
        `/alerts?selector=${encodeURIComponent(`{alertname=${JSON.stringify(label(alert.labels, "alertname"))}}`)}`,
        {},
        "Alerts like this",
      ),
    ),
  );
}
