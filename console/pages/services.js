// Services and hosts: what each has open, as a table; one service with its incidents, alerts and anomalies.

import { get } from "../api.js";
import { h, link, wideTable } from "../dom.js";
import { counted, now, place, severityRank, timeOf } from "../format.js";
import { alertTitle, anomalyName, foreign, severity } from "../parts.js";

const RECENT_MS = 24 * 3600_000;

/** @param {import("../router.js").Visit} visit */
export async function show({ main, params, signal, title }) {
  if (params.name) return one(main, params.name, signal, title);
  title("Services and hosts");
  const services = await table(signal);
  main.append(h("h1", {}, "Services and hosts"));
  if (!services.length) {
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
  const hasCalls = services.some((each) => each.calls.length);
  main.append(
    wideTable(
      [
        "Service or host",
        "Worst",
        "Firing alerts",
        "Anomalies of the last day",
        ...(hasCalls ? ["Calls"] : []),
      ],
      services.map((each) => [
        link(`/services/${encodeURIComponent(each.name)}`, {}, foreign(each.name)),
        each.alerts || each.anomalies ? severity(each.worst) : "nothing open",
        each.alerts.toLocaleString(),
        each.anomalies.toLocaleString(),
        ...(hasCalls ? [foreign(each.calls.join(", "))] : []),
      ]),
      "Services and hosts, those with the worst alerts first",
    ),
  );
}

/** @param {AbortSignal} signal */
async function table(signal) {
  const startTime = new Date(now() - RECENT_MS).toISOString();
  const [alerts, anomalies, edges, series] = await Promise.all([
    get("/api/v1/alerts", { state: "firing", pageSize: 1000 }, signal),
    get("/api/v1/anomalies", { startTime, pageSize: 1000 }, signal),
    get("/api/v1/topology/edges", { pageSize: 1000 }, signal).catch(() => ({})),
    get("/api/v1/series", { pageSize: 1000 }, signal),
  ]);
  /** @type {Map<string, {name: string, worst: string, alerts: number, anomalies: number, calls: string[]}>} */
  const found = new Map();
  const of = (/** @type {string} */ name) => {
    const each = found.get(name) ?? { name, worst: "", alerts: 0, anomalies: 0, calls: [] };
    found.set(name, each);
    return each;
  };
  for (const each of series.series ?? []) if (place(each.labels)) of(place(each.labels));
  for (const [list, kind] of /** @type {[any[], "alerts" | "anomalies"][]} */ ([
    [alerts.alerts ?? [], "alerts"],
    [anomalies.anomalies ?? [], "anomalies"],
  ])) {
    for (const each of list.filter((one) => place(one.labels))) {
      const service = of(place(each.labels));
      service[kind]++;
      if (severityRank(each.severity) > severityRank(service.worst)) service.worst = each.severity;
    }
  }
  for (const { edge } of edges.edges ?? []) {
    if (!edge.callerService || edge.service === edge.callerService) continue;
    const { calls } = of(edge.callerService);
    if (!calls.includes(edge.service)) calls.push(edge.service);
  }
  return [...found.values()].sort(
    (a, b) =>
      severityRank(b.worst) - severityRank(a.worst) ||
      b.alerts - a.alerts ||
      a.name.localeCompare(b.name),
  );
}

/** @param {HTMLElement} main @param {string} name @param {AbortSignal} signal @param {(text: string) => void} title */
async function one(main, name, signal, title) {
  title(name);
  const matcher = ["service", "host", "instance"].map(
    (each) => `{${each}=${JSON.stringify(name)}}`,
  );
  const startTime = new Date(now() - RECENT_MS).toISOString();
  const ask = (/** @type {string} */ path, /** @type {object} */ query) =>
    Promise.all(matcher.map((selector) => get(path, { selector, pageSize: 50, ...query }, signal)));
  const [incidents, alerts, anomalies] = await Promise.all([
    get("/api/v1/incidents", { query: name, pageSize: 20 }, signal).catch(() => ({})),
    ask("/api/v1/alerts", { state: "firing" }),
    ask("/api/v1/anomalies", { startTime, excludeMembers: true }),
  ]);
  const firing = unique(
      alerts.flatMap((each) => each.alerts ?? []),
      "alertId",
    ),
    strange = unique(
      anomalies.flatMap((each) => each.anomalies ?? []),
      "anomalyId",
    );
  const section = (/** @type {string} */ heading, /** @type {Node[]} */ items) => [
    h("h2", {}, heading),
    items.length ? h("ul", { class: "plain-list" }, ...items) : h("p", {}, "None."),
  ];
  main.append(
    h("h1", {}, foreign(name)),
    h(
      "p",
      {},
      `${counted(firing.length, "firing alert")}, ${counted(strange.length, "anomaly", "anomalies")} in the last day. `,
      link(`/explore?selector=${encodeURIComponent(matcher[0] ?? "")}`, {}, "Its metrics"),
    ),
    ...section(
      "Incidents",
      (incidents.incidents ?? []).map((/** @type {any} */ each) =>
        h(
          "li",
          {},
          timeOf(each.startTime),
          " ",
          severity(each.severity),
          " ",
          link(`/incidents/${encodeURIComponent(each.incidentId)}`, {}, foreign(each.title)),
        ),
      ),
    ),
    ...section(
      "Firing alerts",
      firing.map((each) =>
        h(
          "li",
          {},
          timeOf(each.startTime),
          " ",
          severity(each.severity),
          " ",
          link(`/alerts/${encodeURIComponent(each.alertId)}`, {}, foreign(alertTitle(each))),
        ),
      ),
    ),
    ...section(
      "Anomalies",
      strange.map((each) =>
        h(
          "li",
          {},
          timeOf(each.eventTime),
          " ",
          severity(each.severity),
          " ",
          link(`/anomalies/${encodeURIComponent(each.anomalyId)}`, {}, anomalyName(each)),
        ),
      ),
    ),
  );
}

/** @param {any[]} list @param {string} key */
function unique(list, key) {
  return [...new Map(list.map((each) => [each[key], each])).values()];
}
