// One incident: what, since when, why, who is on it, and what can be done.

import { ApiError, get, loggedIn, may, patch, post, requestId } from "../api.js";
import { button, fill, h, link, messageOf, say } from "../dom.js";
import { cited, evidenceList, suspectList } from "../evidence.js";
import {
  changeItems,
  changeText,
  counted,
  label,
  ms,
  now,
  place,
  selectorOf,
  senderText,
  severity,
  severityWord,
  stateOf,
  timeOf,
} from "../format.js";
import { rows } from "../rows.js";
import { beginOf, refreshed, samples, seriesCharts, showCharts } from "../charts/series.js";
import { live, whenWatched } from "../stream.js";
import { go, pageKey } from "../router.js";
import { eventList, noteForm, postmortemForm } from "./incident_record.js";

const CHARTS = 6;
const MARKS = 20;
const SERVICES = 100;
const NAME_LONGEST = 200;
const BEFORE_MS = 3600_000;
const MEMBERS = 200;
const MERGE_MS = 500;

/** @param {import("../router.js").Visit} visit */
export async function show({ main, params, signal, beganMs, title }) {
  const id = params.id ?? "";
  const path = `/api/v1/incidents/${encodeURIComponent(id)}`;
  let { incident } = await get(path, {}, signal);
  if (incident.mergedInto)
    return go(`/incidents/${encodeURIComponent(incident.mergedInto)}`, { replace: true });
  const head = h("div"),
    cause = h("div"),
    actions = h("div", { class: "actions" }),
    charts = h("div", { class: "charts", "aria-label": "Charts", role: "group" });
  const suspects = h("div"),
    timeline = h("ol", { class: "timeline" }),
    news = h("button", { type: "button", class: "news", hidden: true }),
    postmortem = h("div");
  /** @type {any} */
  let explanation = null;
  let unseen = 0,
    nextMembers = "",
    isReading = false,
    isMerging = false,
    merging = Promise.resolve();
  const memberRows = rows({
    name: "Members",
    columns: ["Severity", "What", "Where", "Since", "Until"],
    keyOf: (/** @type {any} */ each) => each.memberId,
    cells: (each) => [
      severity(each.severity),
      link(
        memberPath(each),
        { tabindex: -1 },
        senderText(label(each.labels, "alertname") || label(each.labels, "__name__")),
      ),
      senderText(place(each.labels)),
      timeOf(each.startTime),
      timeOf(each.endTime),
    ],
    open: (each) => go(memberPath(each)),
    order: (a, b) => ms(a.startTime) - ms(b.startTime),
    more: moreMembers,
  });
  main.append(
    head,
    cause,
    actions,
    h("h2", { class: "visually-hidden" }, "Charts"),
    charts,
    suspects,
    h(
      "section",
      { "aria-labelledby": "timeline" },
      h("h2", { id: "timeline" }, "Timeline"),
      noteForm(path, refresh),
      news,
      timeline,
    ),
    h(
      "section",
      { "aria-labelledby": "members" },
      h("h2", { id: "members" }, "Members"),
      memberRows.element,
    ),
    postmortem,
  );

  /** So many members at least, or all; where the next page begins is known then. @param {number} least */
  async function readMembers(least) {
    const found = [];
    let token = "";
    do {
      const query = { pageSize: MEMBERS, pageToken: token };
      const page = await get(`${path}/members`, query, signal);
      found.push(...(page.members ?? []));
      token = page.nextPageToken ?? "";
    } while (token && found.length < least);
    nextMembers = token;
    return found;
  }

  async function moreMembers() {
    if (isReading || !nextMembers) return;
    isReading = true;
    try {
      const query = { pageSize: MEMBERS, pageToken: nextMembers };
      const page = await get(`${path}/members`, query, signal);
      nextMembers = page.nextPageToken ?? "";
      memberRows.append(page.members ?? []);
    } finally {
      isReading = false;
    }
  }

  /** Members as they are by now; changes that come while it waits are read once. */
  function mergeMembers() {
    if (isMerging) return;
    isMerging = true;
    merging = merging.then(async () => {
      await new Promise((done) => setTimeout(done, MERGE_MS));
      isMerging = false;
      await readMembers(memberRows.items().length + 1).then(memberRows.merge, () => {});
    });
  }

  /** Shows the incident as it stands; what the pointer may be on stays in its place. */
  function draw() {
    drawHead();
    // a button that is replaced while a finger is on it takes no click
    const offered = [incident.state, incident.owner, Boolean(incident.mute)].join();
    if (offered !== actions.dataset.offered) fill(actions, ...buttons());
    actions.dataset.offered = offered;
  }

  function drawHead() {
    title(incident.title);
    fill(
      head,
      h(
        "p",
        { class: "facts" },
        severity(incident.severity),
        " ",
        stateOf(incident),
        " · since ",
        timeOf(incident.startTime),
      ),
      h("h1", {}, senderText(incident.title)),
    );
  }

  function buttons() {
    if (!may("write:incidents"))
      return [h("p", {}, "You may read incidents, not change them.")];
    const isOver = incident.state === "INCIDENT_STATE_RESOLVED";
    const isMine = incident.owner === loggedIn()?.subject;
    if (isOver) return [act("Reopen", "reopen", {}, { "data-key": "reopen" })];
    const mute = incident.mute
      ? act("Unmute", "unmute", {}, { "data-key": "mute", "data-shortcut": "m" })
      : act(
          "Mute until resolved",
          "mute",
          { untilResolved: true },
          { "data-key": "mute", "data-shortcut": "m" },
        );
    return [
      isMine || incident.state === "INCIDENT_STATE_ACKNOWLEDGED"
        ? own(isMine)
        : act(
            "Acknowledge",
            "acknowledge",
            {},
            { class: "main", "data-key": "acknowledge", "data-shortcut": "a" },
          ),
      mute,
      act("Resolve", "resolve", {}, { "data-key": "resolve" }),
    ];
  }

  /** @param {boolean} isMine */
  function own(isMine) {
    const work = async () => {
      await patch(path, {
        owner: isMine ? "" : loggedIn()?.subject,
        updateMask: "owner",
        etag: incident.etag,
        requestId: requestId(),
      });
      await refresh();
    };
    return button(isMine ? "Give it up" : "Take it over", work, {
      "data-key": "own",
      "data-shortcut": "o",
    });
  }

  /** @param {string} text @param {string} verb @param {object} body @param {Record<string, unknown>} props */
  function act(text, verb, body, props) {
    return button(
      text,
      async () => {
        try {
          ({ incident } = await post(`${path}:${verb}`, { ...body, requestId: requestId() }));
        } catch (error) {
          // somebody else was faster: show what holds now, then say so
          if (error instanceof ApiError && [409, 412].includes(error.status)) await refresh();
          throw error;
        }
        say(`${text}: done`);
        await refresh();
      },
      props,
    );
  }

  async function refresh() {
    const fresh = await get(path, {}, signal);
    incident = fresh.incident;
    draw();
    memberRows.set(await readMembers(memberRows.items().length));
    await Promise.all([drawTimeline(), drawPostmortem()]);
  }

  async function drawTimeline() {
    const { events = [] } = await get(`${path}/timeline`, { pageSize: 100 }, signal);
    news.hidden = true;
    unseen = 0;
    fill(timeline, eventList(events, path, refresh));
  }

  async function drawCause() {
    const found = incident.cause?.explanationId
      ? await get(
          `/api/v1/explanations/${encodeURIComponent(incident.cause.explanationId)}`,
          {},
          signal,
        ).then(
          (answer) => answer.explanation,
          () => null,
        )
      : null;
    explanation = found;
    const text = found ?? incident.cause;
    const evidence = found?.evidence ?? [];
    const worded = (/** @type {string} */ of) => cited(of, evidence, incident.startTime);
    fill(
      cause,
      h("p", { class: "cause" }, ...(text?.rootCause ? worded(text.rootCause) : [unexplained()])),
      text?.mitigation
        ? h("p", {}, h("strong", {}, "First: "), ...worded(text.mitigation))
        : null,
      text?.summary
        ? h("details", {}, h("summary", {}, "What happened"), h("p", {}, ...worded(text.summary)))
        : null,
      found
        ? h(
            "p",
            {},
            link(
              `/explanations/${encodeURIComponent(found.explanationId)}`,
              { "data-key": "explanation" },
              "The whole explanation",
            ),
          )
        : null,
    );
    fill(
      suspects,
      suspectList(found?.suspects ?? incident.cause?.suspects),
      evidenceList(evidence),
    );
    await drawCharts();
  }

  /** Anomalies that are not critical are explained when somebody asks. */
  function unexplained() {
    const isAsked = memberRows.items().some(
      (/** @type {any} */ each) =>
        each.kind === "MEMBER_KIND_ALERT" || severityWord(each.severity) === "critical",
    );
    return isAsked ? "No cause is known yet." : "No cause was looked for: none of it is critical.";
  }

  /** The first suspects and the members on one axis. */
  async function drawCharts() {
    const endMs = incident.resolveTime
      ? Math.min(now(), ms(incident.resolveTime) + BEFORE_MS / 2)
      : now();
    const startMs = ms(incident.startTime) - BEFORE_MS;
    const moved = (explanation?.evidence ?? [])
      .filter((/** @type {any} */ each) => each.window && label(each.labels, "__name__"))
      .map((/** @type {any} */ each) => each.labels);
    const own = memberRows
      .items()
      .filter((/** @type {any} */ each) => each.kind === "MEMBER_KIND_ANOMALY")
      .map((/** @type {any} */ each) => each.labels);
    const selectors = [...new Set([...moved, ...own].map(selectorOf))].slice(0, CHARTS);
    const [changes, ...found] = await Promise.all([
      changesOf(startMs, endMs),
      ...selectors.map((selector) =>
        samples(selector, startMs, endMs, { most: 1, signal }).catch(() => []),
      ),
    ]);
    const list = found.flat();
    const marks = changes.map((each) => ({ ms: ms(each.time), text: changeText(each) }));
    const frame = { startMs: beginOf(list, startMs, endMs), endMs, marks };
    await showCharts(
      charts,
      seriesCharts(list, () => frame, signal),
      signal,
      changes.length
        ? [
            h(
              "section",
              { class: "marks", "aria-labelledby": "changes" },
              h("h3", { id: "changes" }, "Changes since an hour before"),
              h("ul", { class: "plain-list" }, ...changeItems(changes)),
            ),
          ]
        : [],
    );
  }

  /** What people did to the services of it and to its suspects. @param {number} startMs @param {number} endMs @returns {Promise<any[]>} */
  async function changesOf(startMs, endMs) {
    const suspects = explanation?.suspects ?? incident.cause?.suspects ?? [];
    const entities = suspects.map((/** @type {any} */ each) => each.entity);
    const services = [...new Set([...entities, ...(incident.services ?? [])])].slice(0, SERVICES);
    if (!services.length) return [];
    const query = {
      services: services.map((each) => each.slice(0, NAME_LONGEST)),
      startTime: new Date(startMs).toISOString(),
      endTime: new Date(endMs).toISOString(),
      pageSize: MARKS,
    };
    const { changes = [] } = await get("/api/v1/changes", query, signal).catch(() => ({}));
    return changes;
  }

  async function drawPostmortem() {
    // what is being written stays
    if (incident.state !== "INCIDENT_STATE_RESOLVED" || postmortem.hasChildNodes()) return;
    fill(postmortem, await postmortemForm(path, signal));
  }

  pageKey("a", "Acknowledge", () => press("acknowledge"));
  pageKey("m", "Mute or unmute", () => press("mute"));
  pageKey("o", "Take it over or give it up", () => press("own"));
  pageKey("e", "Go to the explanation", () => press("explanation"));
  /** @param {string} key */
  function press(key) {
    const element = main.querySelector(`[data-key="${key}"]`);
    if (element instanceof HTMLElement) element.click();
  }

  live.addEventListener(
    "incidents",
    async (event) => {
      const change = /** @type {CustomEvent} */ (event).detail.frame.change;
      if (change?.incident?.incidentId !== id) return;
      const hadCause = incident.cause?.explanationId;
      const { memberCount, firingCount } = incident;
      incident = change.incident;
      draw();
      if (memberCount !== incident.memberCount || firingCount !== incident.firingCount)
        mergeMembers();
      if (incident.cause?.explanationId !== hadCause) drawCause().catch(() => {});
      const eventId = change.event?.eventId;
      // one's own change is in the timeline already, or will be with the answer
      await new Promise((done) => setTimeout(done, 300));
      if (timeline.querySelector(`[data-key="event-${CSS.escape(String(eventId))}"]`)) return;
      news.hidden = false;
      news.textContent = `${++unseen} new`;
      say(counted(unseen, "new event"));
    },
    { signal },
  );
  whenWatched({ signal, beganMs }, async () => {
    const fresh = await get(path, {}, signal);
    if (fresh.incident.eventNo !== incident.eventNo) await refresh();
  });
  news.addEventListener("click", () => refresh().catch((error) => say(messageOf(error))));

  draw();
  refreshed(
    charts,
    () => {
      if (incident.state === "INCIDENT_STATE_RESOLVED") return;
      drawHead();
      drawCharts().catch(() => {});
    },
    signal,
  );
  memberRows.set(await readMembers(1));
  await Promise.all([drawCause(), drawTimeline(), drawPostmortem().catch(() => {})]);
}

/** @param {any} member */
function memberPath(member) {
  const kind = member.kind === "MEMBER_KIND_ALERT" ? "alerts" : "anomalies";
  return `/${kind}/${encodeURIComponent(member.memberId)}`;
}
