// A whole explanation: the cause, what was claimed, the suspects, the evidence.

import { get, may, post } from "../api.js";
import { button, fill, h, link, say } from "../dom.js";
import { cited, evidenceList, suspectList } from "../evidence.js";
import { enumWord, timeOf } from "../format.js";

/** @param {import("../router.js").Visit} visit */
export async function show({ main, params, signal, title }) {
  const path = `/api/v1/explanations/${encodeURIComponent(params.id ?? "")}`;
  const { explanation } = await get(path, {}, signal);
  title("Explanation");
  main.append(
    h(
      "p",
      { class: "facts" },
      `${enumWord(explanation.verdict, "VERDICT")} · revision ${explanation.revision} · `,
      timeOf(explanation.finishTime),
    ),
    ...body(explanation, "h1"),
    feedback(path) ?? "",
    ...[suspectList(explanation.suspects), evidenceList(explanation.evidence)].filter(
      (each) => each !== null,
    ),
  );
}

/** What explains a subject, shown on its page; says so where nothing does yet. */
/** @param {Record<string, string>} subject @param {AbortSignal} signal */
export async function explanations(subject, signal) {
  const { explanations: found = [] } = await get(
    "/api/v1/explanations",
    { ...subject, pageSize: 1 },
    signal,
  ).catch(() => ({}));
  if (!found.length) return [h("p", { class: "cause" }, "Not explained yet.")];
  const { explanation } = await get(
    `/api/v1/explanations/${encodeURIComponent(found[0].explanationId)}`,
    {},
    signal,
  );
  return [
    h(
      "section",
      { "aria-labelledby": "why" },
      ...body(explanation, "h2"),
      link(
        `/explanations/${encodeURIComponent(explanation.explanationId)}`,
        {},
        "The whole explanation",
      ),
    ),
  ];
}

/** @param {any} explanation @param {"h1" | "h2"} level */
function body(explanation, level) {
  const { evidence = [], finishTime } = explanation;
  const worded = (/** @type {string} */ text) => cited(text, evidence, finishTime);
  return [
    h(
      level,
      { id: "why" },
      ...worded(explanation.rootCause || "No cause can be named from the evidence"),
    ),
    explanation.mitigation
      ? h("p", {}, h("strong", {}, "First: "), ...worded(explanation.mitigation))
      : "",
    explanation.summary ? h("p", {}, ...worded(explanation.summary)) : "",
    explanation.difference ? h("p", {}, ...worded(explanation.difference)) : "",
  ];
}

/** @param {string} path */
function feedback(path) {
  if (!may("write:analysis")) return null;
  const element = h(
    "div",
    { class: "actions", role: "group", "aria-labelledby": "right" },
    h("span", { id: "right" }, "Was it right?"),
  );
  const thanks = h("span", { class: "by" });
  for (const [verdict, text] of [
    ["RIGHT", "Right"],
    ["PARTLY", "Partly"],
    ["WRONG", "Wrong"],
  ]) {
    element.append(
      button(text ?? "", async () => {
        await post(`${path}/feedback`, { verdict: `FEEDBACK_VERDICT_${verdict}` });
        fill(thanks, `Noted: ${(text ?? "").toLowerCase()}. Thank you.`);
        say("thank you");
      }),
    );
  }
  element.append(thanks);
  return element;
}
