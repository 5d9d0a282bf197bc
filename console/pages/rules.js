// Threshold rules and models.

import { get, may, patch, post, remove } from "../api.js";
import { button, fill, h, messageOf, say, wideTable } from "../dom.js";
import { enumWord, figure, senderText, span, timeOf } from "../format.js";
import { show as reshow } from "../router.js";

/** @param {import("../router.js").Visit} visit */
export async function show({ main, signal, title }) {
  title("Rules and models");
  const [{ rules = [] }, { models = [] }] = await Promise.all([
    get("/api/v1/rules", {}, signal),
    get("/api/v1/models", { pageSize: 20 }, signal),
  ]);
  const isAdmin = may("admin");
  main.append(
    h("h1", {}, "Rules"),
    rules.length ? ruleTable(rules, isAdmin) : h("p", {}, "There is no rule."),
    isAdmin ? ruleForm() : "",
    h("h2", {}, "Models"),
    models.length
      ? modelTable(models, isAdmin)
      : h("p", {}, "No model yet: the first is trained when enough samples have come."),
  );
}

/** @param {any[]} rules @param {boolean} isAdmin */
function ruleTable(rules, isAdmin) {
  return wideTable(
    ["Rule", "Watches", "Warning", "Critical", "Held for", ""],
    rules.map((rule) => {
      const sign = rule.comparison === "RULE_COMPARISON_BELOW" ? "≤" : "≥";
      const path = `/api/v1/rules/${encodeURIComponent(rule.ruleId)}`;
      const bound = (/** @type {number | undefined} */ value) =>
        value === undefined ? "" : h("span", { class: "figure" }, `${sign} ${figure(value)}`);
      const heldS = parseFloat(rule.holdDuration ?? "0");
      const isOff = rule.enabled === false;
      return [
        [senderText(rule.name), isOff ? " (off)" : ""],
        h("code", {}, senderText(rule.selector)),
        bound(rule.warning),
        bound(rule.critical),
        heldS ? h("span", { class: "figure" }, span(heldS * 1000)) : "",
        isAdmin
          ? h(
              "span",
              { class: "buttons" },
              button(
                isOff ? "Switch on" : "Switch off",
                () =>
                  patch(path, { rule: { enabled: isOff }, updateMask: "enabled" }).then(() =>
                    reshow(),
                  ),
                { class: "plain" },
              ),
              button(
                "Delete",
                async () => {
                  if (confirm(`Delete the rule ${rule.name}?`))
                    await remove(path).then(() => reshow());
                },
                { class: "plain" },
              ),
            )
          : null,
      ];
    }),
  );
}

function ruleForm() {
  const field = (
    /** @type {string} */ id,
    /** @type {string} */ text,
    /** @type {object} */ props = {},
  ) => [h("label", { for: id }, text), h("input", { id, autocomplete: "off", ...props })];
  const side = h(
    "select",
    { id: "comparison" },
    h("option", { value: "RULE_COMPARISON_ABOVE" }, "at or above"),
    h("option", { value: "RULE_COMPARISON_BELOW" }, "at or below"),
  );
  const fault = h("p", { class: "fault", role: "alert" });
  const form = h(
    "form",
    { class: "grid" },
    ...field("rule-name", "Name", { required: true, maxlength: 128 }),
    ...field("rule-selector", "Selector", {
      required: true,
      spellcheck: false,
      placeholder: 'disk_percent{host=~"db-.*"}',
    }),
    h("label", { for: "comparison" }, "Bad when"),
    side,
    ...field("rule-warning", "Warning", { type: "number", step: "any" }),
    ...field("rule-critical", "Critical", { type: "number", step: "any" }),
    ...field("rule-hold", "Held for (s)", { type: "number", min: 0, max: 86400, value: 60 }),
    h("button", { class: "main" }, "Add the rule"),
    fault,
  );
  const value = (/** @type {string} */ id) =>
    /** @type {HTMLInputElement} */ (form.querySelector(`#${id}`)).value;
  const number = (/** @type {string} */ id) => (value(id) === "" ? undefined : Number(value(id)));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await post("/api/v1/rules", {
        rule: {
          name: value("rule-name"),
          selector: value("rule-selector"),
          comparison: side.value,
          warning: number("rule-warning"),
          critical: number("rule-critical"),
          holdDuration: `${number("rule-hold") ?? 0}s`,
        },
      });
      await reshow();
      say("the rule works within seconds");
    } catch (error) {
      fill(fault, messageOf(error));
    }
  });
  return h("details", {}, h("summary", {}, "Add a rule"), form);
}

/** @param {any[]} models @param {boolean} isAdmin */
function modelTable(models, isAdmin) {
  return wideTable(
    ["Version", "State", "Trained", "Why", "Samples", ""],
    models.map((model) => [
      String(model.version),
      enumWord(model.state, "MODEL_STATE"),
      timeOf(model.createTime),
      model.trigger,
      Number(model.trainingSamples).toLocaleString(),
      isAdmin && model.state !== "MODEL_STATE_ACTIVE"
        ? button(
            "Activate",
            () => post(`/api/v1/models/${model.version}:activate`).then(() => reshow()),
            { class: "plain" },
          )
        : null,
    ]),
  );
}
