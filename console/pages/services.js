// Services and hosts: what each has open, as a table; one service with its incidents, alerts and anomalies.

import { get } from "../api.js";
import { h, link, wideTable } from "../dom.js";
import {
  alertTitle,
  anomalyName,
  changeItems,
  figure,
  now,
  place,
  senderText,
  severity,
  timeOf,
} from "../format.js";

const RECENT_MS = 24 * 3600_000;
const MOST = 500;
/** Labels by which a service or host is asked for. */
const NAMED_BY = ["service", "job", "instance", "host"];
const SEVERITIES = ["critical", "warning", "info"];

/** @param {import("../router.js").Visit} visit */
export async function show({ main, params, signal, title }) {
  if (params.name) return one(main, params.name, signal, title);
  title("Services and hosts");
  const [{ services = [], nextPageToken }, names] = await Promise.all([
    get("/api/v1/services", { pageSize: MOST }, signal),
    quietNames(signal),
  ]);
  const listed = new Set(services.map((/** @type {any} */ each) => each.service));
  const quiet = [...names].filter((name) => !listed.has(name)).sort();
  const all = [...services, ...quiet.map((service) => ({ service }))];
  main.append(h("h1", {}, "Services and hosts"));
  if (!all.length) {
    main.append(
      h(
        "p",
        {},
        "No series, alert or anomaly of the last day names a service or a host. Give samples a label ",
        h("code", {}, "service"),
        ".",
      ),
    );
    return;
  }
  if (nextPageToken) main.append(h("p", {}, `The ${MOST} that have most open are shown.`));
  const hasCalls = services.some((/** @type {any} */ each) => each.calls);
  main.append(
    wideTable(
      [
        "Service or host",
        "Worst",
        "Firing alerts",
        "Open incidents",
        "Anomalies of the last day",
        ...(hasCalls ? ["Calls in 15 minutes"] : []),
      ],
      all.map((each) => [
        link(`/services/${encodeURIComponent(each.service)}`, {}, senderText(each.service)),
        worst(each),
        alertCounts(each.firingAlerts),
        (each.openIncidents ?? 0).toLocaleString(),
        (each.recentAnomalies ?? 0).toLocaleString(),
        ...(hasCalls ? [callsOf(each.calls)] : []),
      ]),
      "Services and hosts, those with the worst alerts first",
    ),
  );
}

/** What sends samples, whether or not anything is wrong with it. @param {AbortSignal} signal */
async function quietNames(signal) {
  const { series = [] } = await get("/api/v1/series", { pageSize: 1000 }, signal);
  return new Set(series.map((/** @type {any} */ each) => place(each.labels)).filter(Boolean));
}

/** @param {any} service */
function worst({ firingAlerts, firingAnomalies }) {
  const word = SEVERITIES.find((each) => firingAlerts?.[each] || firingAnomalies?.[each]);
  return word ? severity(`SEVERITY_${word.toUpperCase()}`) : "nothing open";
}

/** `1 critical, 12 info`; 0 for none. @param {any} counts */
function alertCounts(counts) {
  const parts = SEVERITIES.filter((each) => counts?.[each]).map(
    (each) => `${counts[each].toLocaleString()} ${each}`,
  );
  return parts.join(", ") || "0";
}

/** How many it answered, the share of errors, and whom it calls. @param {any} calls */
function callsOf(calls) {
  if (!calls) return "";
  const received = Number(calls.received ?? 0),
    errors = Number(calls.errors ?? 0);
  const share = errors ? `, ${figure((100 * errors) / received)} % wrong` : "";
  const callees = (calls.callees ?? []).join(", ");
  return senderText(`${received.toLocaleString()}${share}${callees ? `; calls ${callees}` : ""}`);
}

/** @param {HTMLElement} main @param {string} name @param {AbortSignal} signal @param {(text: string) => void} title */
async function one(main, name, signal, title) {
  title(name);
  const matchers = NAMED_BY.map((each) => `{${each}=${JSON.stringify(name)}}`);
  const startTime = new Date(now() - RECENT_MS).toISOString();
  const ask = async (/** @type {string} */ path, /** @type {string} */ key, /** @type {object} */ query) => {
    const answers = await Promise.all(
      matchers.map((selector) => get(path, { selector, pageSize: 50, ...query }, signal)),
    );
    return answers.map((each) => /** @type {any[]} */ (each[key] ?? []));
  };
  const [found, { incidents = [] }, { changes = [] }, alerts, anomalies, series] =
    await Promise.all([
      get("/api/v1/services", { query: name, pageSize: 1000 }, signal),
      get("/api/v1/incidents", { query: name, pageSize: 20 }, signal),
      get("/api/v1/changes", { services: [name], startTime, pageSize: 50 }, signal).catch(
        () => ({}),
      ),
      ask("/api/v1/alerts", "alerts", { state: "firing" }),
      ask("/api/v1/anomalies", "anomalies", { startTime, excludeMembers: true }),
      ask("/api/v1/series", "series", { pageSize: 1 }),
    ]);
  const status = (found.services ?? []).find((/** @type {any} */ each) => each.service === name);
  const calls = callsOf(status?.calls);
  const metrics = matchers[series.findIndex((each) => each.length)];
  const section = (/** @type {string} */ heading, /** @type {Node[]} */ items) => [
    h("h2", {}, heading),
    items.length ? h("ul", { class: "plain-list" }, ...items) : h("p", {}, "None."),
  ];
  const item = (/** @type {any} */ each, /** @type {string} */ time, /** @type {Node} */ anchor) =>
    h("li", {}, timeOf(time), " ", severity(each.severity), " ", anchor);
  main.append(
    h("h1", {}, senderText(name)),
    h(
      "p",
      {},
      `Firing alerts: ${alertCounts(status?.firingAlerts)}. Anomalies in the last day: ${status?.recentAnomalies ?? 0}. `,
      metrics ? link(`/explore?selector=${encodeURIComponent(metrics)}`, {}, "Its metrics") : null,
    ),
    ...(calls ? [h("p", {}, "Calls answered in 15 minutes: ", calls, ".")] : []),
    ...section(
      "Incidents",
      incidents.map((/** @type {any} */ each) =>
        item(each, each.startTime, link(`/incidents/${encodeURIComponent(each.incidentId)}`, {}, senderText(each.title))),
      ),
    ),
    ...section(
      "Firing alerts",
      unique(alerts.flat(), "alertId").map((each) =>
        item(each, each.startTime, link(`/alerts/${encodeURIComponent(each.alertId)}`, {}, senderText(alertTitle(each)))),
      ),
    ),
    ...section(
      "Anomalies",
      unique(anomalies.flat(), "anomalyId").map((each) =>
        item(each, each.eventTime, link(`/anomalies/${encodeURIComponent(each.anomalyId)}`, {}, anomalyName(each))),
      ),
    ),
    ...section("Changes of the last day", changeItems(changes)),
  );
}

/** @param {any[]} list @param {string} key */
function unique(list, key) {
  return [...new Map(list.map((each) => [each[key], each])).values()];
}
