// What is on record of an incident: its timeline, notes, and what was learnt.

import { get, may, post, put, requestId } from "../api.js";
import { button, fill, h, messageOf, say } from "../dom.js";
import { enumWord, plainText, timeOf } from "../format.js";

/** @param {any[]} events @param {string} path of the incident @param {() => Promise<void>} refresh */
export function eventList(events, path, refresh) {
  return events.map((event) =>
    h(
      "li",
      { "data-key": `event-${event.eventId}` },
      timeOf(event.time),
      " ",
      ...eventText(event),
      event.canUndo && may("write:incidents")
        ? button(
            "Undo",
            async () => {
              await post(`${path}:undo`, { eventId: event.eventId, requestId: requestId() });
              await refresh();
            },
            { class: "plain", "data-key": `undo-${event.eventId}` },
          )
        : null,
    ),
  );
}

/** What happened, with its kind where the words do not begin with it, and who did it where they do not say it. */
/** @param {any} event */
function eventText(event) {
  const kind = enumWord(event.kind, "EVENT_KIND"),
    who = (event.actor ?? "").replace(/^user:/, ""),
    isNote = kind === "note";
  const text = isNote || !event.actor ? event.text : event.text.replaceAll(event.actor, who);
  const isSaid = kind === "members" || text.startsWith(kind);
  return [
    isSaid ? null : h("strong", {}, kind, " "),
    h("bdi", {}, ...plainText(text, event.time)),
    who === "sensus" || (!isNote && text.includes(who))
      ? null
      : h("span", { class: "by" }, ` ${who}`),
  ];
}

/** @param {string} path @param {() => Promise<void>} refresh */
export function noteForm(path, refresh) {
  if (!may("write:incidents")) return null;
  const text = h("input", { id: "note", maxlength: 10000, autocomplete: "off" });
  const fault = h("p", { class: "fault", role: "alert" });
  const form = h(
    "form",
    { class: "inline" },
    h("label", { for: "note" }, "Note"),
    text,
    h("button", {}, "Add"),
    fault,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!text.value.trim()) return;
    await post(`${path}/notes`, { text: text.value, requestId: requestId() }).then(
      () => {
        text.value = "";
        fill(fault);
        return refresh();
      },
      (error) => fill(fault, messageOf(error)),
    );
  });
  return form;
}

/** Its text as it was saved, or drafted. @param {string} path of the incident @param {AbortSignal} signal */
export async function postmortemForm(path, signal) {
  const { postmortem: saved } = await get(`${path}/postmortem`, {}, signal);
  const text = h(
    "textarea",
    { rows: 16, "aria-labelledby": "postmortem" },
    saved.text || saved.draft || "",
  );
  return h(
    "section",
    { "aria-labelledby": "postmortem" },
    h("h2", { id: "postmortem" }, "Postmortem"),
    text,
    may("write:incidents")
      ? button("Save", async () => {
          const answer = await put(`${path}/postmortem`, {
            text: text.value,
            etag: saved.etag,
            requestId: requestId(),
          });
          saved.etag = answer.postmortem?.etag ?? saved.etag;
          say("saved");
        })
      : null,
  );
}
