// What is wrong, since when, and who is on it.

import { get } from "../api.js";
import { h, fill, link } from "../dom.js";
import { counted, ms, now, severityRank, severityWord, since, timeOf } from "../format.js";
import { onPage } from "../keys.js";
import { foreign, severity, stateOf } from "../parts.js";
import { go } from "../router.js";
import { rows } from "../rows.js";
import * as session from "../session.js";
import { live } from "../stream.js";

const OPEN = ["INCIDENT_STATE_OPEN", "INCIDENT_STATE_ACKNOWLEDGED", "INCIDENT_STATE_SETTLING"];
const SETTLED_MS = 24 * 3600_000;
const OPEN_MOST = 5000;

/** @param {import("../router.js").Visit} visit */
export async function show({ main, signal, title }) {
  title("Now");
  const headline = h("h1", { id: "headline" }, "…");
  const list = rows({
    name: "Open incidents",
    columns: ["Severity", "What", "State", "Since", "Alerts"],
    keyOf: (/** @type {any} */ each) => each.incidentId,
    order: urgency,
    open: (each) => go(`/incidents/${encodeURIComponent(each.incidentId)}`),
    empty: () => quiet,
    cells: (each) => [
      severity(each.severity),
      link(
        `/incidents/${encodeURIComponent(each.incidentId)}`,
        { tabindex: -1 },
        foreign(each.title),
      ),
      stateOf(each),
      timeOf(each.startTime),
      counted(each.firingCount, "firing", "firing"),
    ],
  });
  const quiet = h("div", { class: "quiet" });
  const settled = h("ul", { class: "plain-list" });
  main.append(headline, list.element, h("h2", {}, "Settled in the last 24 hours"), settled);
  onPage("j", "Next incident", () => list.move(1));
  onPage("k", "Previous incident", () => list.move(-1));

  const [open, done, system] = await Promise.all([
    openIncidents(signal),
    get(
      "/api/v1/incidents",
      {
        states: ["INCIDENT_STATE_RESOLVED"],
        startTime: new Date(now() - SETTLED_MS).toISOString(),
        pageSize: 20,
      },
      signal,
    ),
    get("/api/v1/detector/status", {}, signal).catch(() => null),
  ]);
  quiet.append(...silence(system));
  list.set(open);
  headline.textContent = sentence(list.items());
  fill(
    settled,
    (done.incidents ?? []).map((/** @type {any} */ each) =>
      h(
        "li",
        {},
        timeOf(each.resolveTime),
        " ",
        link(`/incidents/${encodeURIComponent(each.incidentId)}`, {}, foreign(each.title)),
      ),
    ),
  );
  if (!settled.children.length) fill(settled, h("li", {}, "Nothing."));

  live.addEventListener(
    "incidents",
    (event) => {
      const { incident } = /** @type {CustomEvent} */ (event).detail.frame.change ?? {};
      if (!incident) return;
      if (OPEN.includes(incident.state)) list.update(incident);
      else list.drop(incident.incidentId);
      headline.textContent = sentence(list.items());
    },
    { signal },
  );
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

/** @param {any[]} open */
function sentence(open) {
  if (!open.length) return "Nothing is wrong that Sensus knows of";
  const mine = open.filter((each) => each.owner === session.user()?.subject).length;
  const worst = open.toSorted(urgency)[0];
  const count = `${open.length >= OPEN_MOST ? "at least " : ""}${counted(open.length, "open incident")}`;
  return `${count}${mine ? `, ${mine} yours` : ""}; worst (${severityWord(worst.severity)}): ${worst.title}, for ${since(worst.startTime)}`;
}

/** Silence must look different from health: when data last came, and how to send the first. @param {any} system */
function silence(system) {
  const processed = Number(system?.processedSamples ?? 0);
  if (!system)
    return [
      h("p", {}, "No open incident. The detector does not answer, so nothing new would be found."),
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
      : "the detector is still learning what is usual";
  return [
    h("p", {}, `No open incident. Data last came at `, timeOf(times.at(-1)), `; ${phase}.`),
    h("p", {}, link("/explore", {}, "Look at the metrics")),
  ];
}
