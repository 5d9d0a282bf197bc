// What went where, how late, and who would get something.

import { get, may, post, put, requestId } from "../api.js";
import { button, fill, h, link, messageOf, say, wideTable } from "../dom.js";
import { enumWord, senderText, severity, timeOf } from "../format.js";

const EXAMPLE = `route: {receiver: on-call}
receivers:
- name: on-call
  slack_configs: [{api_url: '…', channel: '#incidents'}]`;

/** @param {import("../router.js").Visit} visit */
export async function show({ main, signal, title }) {
  title("Notices");
  const [{ notices = [] }, { receivers = [] }] = await Promise.all([
    get("/api/v1/notices", { pageSize: 200 }, signal),
    get("/api/v1/receivers", {}, signal),
  ]);
  main.append(
    h("h1", {}, "Notices"),
    sent(notices),
    h("h2", {}, "Receivers"),
    receiverTable(receivers),
  );
  if (may("admin")) main.append(...(await routing(signal)));
}

/** @param {any[]} notices */
function sent(notices) {
  if (!notices.length)
    return h(
      "p",
      {},
      "Nothing was sent yet. A notice goes out when an incident opens, worsens or ends.",
    );
  return wideTable(
    ["When", "Severity", "What", "To", "State", ""],
    notices.map((each) => [
      timeOf(each.createTime),
      severity(each.severity),
      [
        enumWord(each.kind, "NOTICE_KIND"),
        ": ",
        each.incidentId
          ? link(`/incidents/${encodeURIComponent(each.incidentId)}`, {}, senderText(each.title))
          : senderText(each.title),
      ],
      senderText(`${each.receiver} (${each.integration})`),
      [
        enumWord(each.state, "NOTICE_STATE"),
        each.attemptCount > 1 ? ` after ${each.attemptCount} attempts` : "",
        each.heldBy ? ` by ${each.heldBy}` : "",
      ],
      may("admin") && each.state === "NOTICE_STATE_FAILED"
        ? button("Send again", () =>
            post(`/api/v1/notices/${encodeURIComponent(each.noticeId)}:resend`, {
              requestId: requestId(),
            }).then(() => say("it is sent again")),
          )
        : null,
    ]),
    "Notices, newest first",
  );
}

/** @param {any[]} receivers */
function receiverTable(receivers) {
  if (!receivers.length) return h("p", {}, "No receiver is configured, so nobody is told.");
  return h(
    "ul",
    { class: "plain-list" },
    ...receivers.map((each) =>
      h(
        "li",
        {},
        h("strong", {}, senderText(each.receiver)),
        " ",
        (each.integrations ?? [])
          .map(
            (/** @type {any} */ one) =>
              `${one.integration} ${one.circuit === "CIRCUIT_STATE_OPEN" ? "does not answer" : ""}`,
          )
          .join(", "),
        " ",
        may("admin")
          ? button(
              "Send a test",
              () =>
                post(`/api/v1/receivers/${encodeURIComponent(each.receiver)}:test`, {
                  requestId: requestId(),
                }).then(() => say("the test is sent")),
              { class: "plain" },
            )
          : null,
      ),
    ),
  );
}

/** @param {AbortSignal} signal */
async function routing(signal) {
  const { routing: current } = await get("/api/v1/routing", {}, signal);
  const yaml = current?.yaml ?? "";
  const text = h(
    "textarea",
    {
      id: "routing",
      rows: Math.min(30, Math.max(10, yaml.split("\n").length + 1)),
      spellcheck: false,
      placeholder: EXAMPLE,
      "aria-describedby": "routing-help",
    },
    yaml,
  );
  const labels = h("input", {
    id: "test-labels",
    placeholder: "severity=critical service=checkout",
    spellcheck: false,
    autocomplete: "off",
  });
  const answer = h("div", { role: "status" });
  const test = async () => {
    const list = labels.value
      .split(/\s+/)
      .filter(Boolean)
      .map((each) => ({ name: each.split("=")[0], value: each.split("=").slice(1).join("=") }));
    const { matches = [] } = await post("/api/v1/routing:test", { labels: list, yaml: text.value });
    fill(
      answer,
      matches.length
        ? h(
            "ul",
            {},
            ...matches.map((/** @type {any} */ each) =>
              h(
                "li",
                {},
                h("strong", {}, senderText(each.receiver)),
                ` by ${(each.path ?? []).join(" → ")}`,
              ),
            ),
          )
        : "Nobody would be told.",
    );
  };
  const save = async () => {
    try {
      const { warnings = [], routing: saved } = await put("/api/v1/routing", {
        yaml: text.value,
        etag: current?.etag,
      });
      if (current && saved) current.etag = saved.etag;
      fill(answer, "Saved. ", ...warnings);
    } catch (error) {
      fill(answer, h("pre", { class: "fault" }, messageOf(error)));
    }
  };
  return [
    h("h2", {}, "Routing"),
    h("label", { for: "routing" }, "Who is told of what"),
    h(
      "p",
      { id: "routing-help", class: "facts" },
      "A route and receivers, written as in Alertmanager's file; nothing is sent while it is empty.",
    ),
    text,
    h("div", { class: "actions" }, button("Save", save, { class: "main" })),
    h(
      "div",
      { class: "inline" },
      h("label", { for: "test-labels" }, "Who would be told of"),
      labels,
      button("Try it", test),
    ),
    answer,
  ];
}
