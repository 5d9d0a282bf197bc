// What is wrong, since when, and who is on it.

import { get, loggedIn } from "../api.js";
import { h, fill, link } from "../dom.js";
import {
  counted,
  ms,
  now,
  plainText,
  senderText,
  severity,
  severityRank,
  severityWord,
  since,
  stateOf,
  timeOf,
} from "../format.js";
import { go, pageKey } from "../router.js";
import { rows } from "../rows.js";
import { live, whenWatched } from "../stream.js";

const OPEN = ["INCIDENT_STATE_OPEN", "INCIDENT_STATE_ACKNOWLEDGED", "INCIDENT_STATE_SETTLING"];
const SETTLED_MS = 24 * 3600_000;
const OPEN_MOST = 5000;
/** How often what is told of ages is told anew. */
const AGES_MS = 15_000;

/** @param {import("../router.js").Visit} visit */
export async function show({ main, signal, beganMs, title }) {
  title("Now");
  const headline = h("h1", { id: "headline" }, "…");
  const why = h("p", { class: "cause" });
  const list = rows({
    name: "Open incidents",
    kind: "incidents",
    columns: ["Severity", "What", "State", "Since", "Members"],
    keyOf: (/** @type {any} */ each) => each.incidentId,
    order: urgency,
    open: (each) => go(`/incidents/${encodeURIComponent(each.incidentId)}`),
    empty: () => quiet,
    cells: (each) => [
      severity(each.severity),
      link(
        `/incidents/${encodeURIComponent(each.incidentId)}`,
        { tabindex: -1 },
        senderText(each.title),
      ),
      stateOf(each),
      timeOf(each.startTime),
      counted(each.firingCount, "firing", "firing"),
    ],
  });
  const quiet = h("div", { class: "quiet" });
  const settled = h("ul", { class: "plain-list" });
  const history = [h("h2", {}, "Settled in the last 24 hours"), settled];
  main.append(headline, why);
  pageKey("j", "Next incident", () => list.move(1));
  pageKey("k", "Previous incident", () => list.move(-1));

  const status = async () => {
    const system = await get("/api/v1/detector/status", {}, signal).catch(() => null);
    if (!system || Number(system.processedSamples)) return system;
    const { series = [] } = await get("/api/v1/series", { pageSize: 1 }, signal).catch(() => ({}));
    return { ...system, hasSeries: series.length > 0 };
  };
  /** What comes while the list is read. @type {any[] | null} */
  let early = [];
  live.addEventListener(
    "incidents",
    (event) => {
      const { incident } = /** @type {CustomEvent} */ (event).detail.frame.change ?? {};
      if (!incident) return;
      if (early) early.push(incident);
      else take(incident);
    },
    { signal },
  );
  const rest = Promise.all([
    get(
      "/api/v1/incidents",
      {
        states: ["INCIDENT_STATE_RESOLVED"],
        startTime: new Date(now() - SETTLED_MS).toISOString(),
        pageSize: 20,
      },
      signal,
    ),
    status(),
  ]);
  rest.catch(() => {});
  const open = await openIncidents(signal);
  // what is wrong is told before what is not
  if (!open.length) await rest;
  main.append(list.element);
  list.set(open);
  conclude();
  // nothing stands below, so that nothing moves when it is filled
  if (open.length) main.append(...history);
  const came = early;
  early = null;
  came.forEach(take);
  const [done, system] = await rest;
  fill(quiet, ...silence(system));
  fill(
    settled,
    (done.incidents ?? []).map((/** @type {any} */ each) =>
      h(
        "li",
        {},
        timeOf(each.resolveTime),
        " ",
        link(`/incidents/${encodeURIComponent(each.incidentId)}`, {}, senderText(each.title)),
      ),
    ),
  );
  if (!settled.children.length) fill(settled, h("li", { class: "none" }, "Nothing."));
  if (!open.length) main.append(...history);

  /** What is wrong, and why as far as it is known. */
  function conclude() {
    const open = list.items();
    fill(headline, senderText(sentence(open)));
    const worst = worstOf(open);
    const known = worst?.cause?.rootCause;
    fill(why, ...(known ? plainText(known, worst.startTime) : []));
    why.hidden = !known;
  }

  const timer = setInterval(async () => {
    if (document.hidden) return;
    conclude();
    list.redraw();
    if (!list.items().length) fill(quiet, ...silence(await status()));
  }, AGES_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  whenWatched({ signal, beganMs }, async () => {
    list.merge(await openIncidents(signal));
    conclude();
  });
  if (!open.length) showVitals(main, signal);

  /** Shows an incident as a frame tells it, unless more is known of it. @param {any} incident */
  function take(incident) {
    const known = list.items().find((each) => each.incidentId === incident.incidentId);
    if (known && known.eventNo > incident.eventNo) return;
    if (OPEN.includes(incident.state)) list.update(incident);
    else list.drop(incident.incidentId);
    conclude();
  }
}

/** Something that lives, where nothing is wrong; behind all else, so that it moves nothing. */
/** @param {HTMLElement} main @param {AbortSignal} signal */
async function showVitals(main, signal) {
  const { vitalSection } = await import("../charts/vitals.js");
  const section = await vitalSection(signal).catch(() => "");
  if (!signal.aborted && section) main.append(section);
}

/** All that is open: only then the worst is known. @param {AbortSignal} signal */
async function openIncidents(signal) {
  const found = [];
  let pageToken = "";
  do {
    const answer = await get("/api/v1/incidents", { states: OPEN, pageSize: 1000, pageToken }, signal);
    found.push(...(answer.incidents ?? []));
    pageToken = answer.nextPageToken ?? "";
  } while (pageToken && found.length < OPEN_MOST);
  return found;
}

/** The worst, then what nobody owns, then the newest. @param {any} a @param {any} b */
function urgency(a, b) {
  return (
    Number(Boolean(a.mute)) - Number(Boolean(b.mute)) ||
    severityRank(b.severity) - severityRank(a.severity) ||
    Number(Boolean(a.owner)) - Number(Boolean(b.owner)) ||
    ms(b.startTime) - ms(a.startTime)
  );
}

/** @param {any[]} open @returns {any} */
function worstOf(open) {
  return open.toSorted(urgency)[0];
}

/** @param {any[]} open */
function sentence(open) {
  if (!open.length) return "Nothing is wrong that Sensus knows of";
  const mine = open.filter((each) => each.owner === loggedIn()?.subject).length;
  const worst = worstOf(open);
  const count = `${open.length >= OPEN_MOST ? "at least " : ""}${counted(open.length, "open incident")}`;
  const which = open.length > 1 ? `worst (${severityWord(worst.severity)})` : severityWord(worst.severity);
  return `${count}${mine ? `, ${mine} yours` : ""}; ${which}: ${worst.title}, for ${since(worst.startTime)}`;
}

/** Silence must look different from health: when data last came, and how to send the first. @param {any} system */
function silence(system) {
  const processed = Number(system?.processedSamples ?? 0);
  if (!system)
    return [
      h("p", {}, "No open incident. The detector does not answer, so nothing new would be found."),
    ];
  if (!processed && system.hasSeries)
    return [
      h("p", {}, "No open incident. Samples come; the detector has looked at none of them yet."),
    ];
  if (!processed) {
    return [
      h("p", {}, "No open incident, and no sample yet. Send the first one:"),
      h(
        "pre",
        {},
        h(
          "code",
          {},
          `curl -H "Authorization: Bearer $(sensus token)" -H 'Content-Type: application/json' \\\n  ${location.origin}/api/v1/metrics -d '{"metric_name": "queue_depth", "metric_value": 42, "labels": {"service": "checkout"}}'`,
        ),
      ),
    ];
  }
  const times = (system.shards ?? [])
    .map((/** @type {any} */ shard) => shard.checkpointTime)
    .filter(Boolean)
    .sort();
  const phase =
    system.phase === "DETECTOR_PHASE_SCORING"
      ? `${counted(Number(system.warmSeriesCount), "series", "series")} watched`
      : "still learning what is usual; rules hold already";
  const latest = times.at(-1);
  return [
    h(
      "p",
      {},
      "No open incident. ",
      ...(latest ? [`Data last came ${since(latest)} ago; `] : []),
      `${phase}.`,
    ),
    h("p", {}, link("/explore", {}, "Look at the metrics")),
  ];
}
