// What the first page needs of the API, asked for before the modules have come: they wait for each
// other, and everybody would wait for these answers after them. So this is no module.

/** What a page reads first, as it asks for it itself. @type {[RegExp, string[]][]} */
const FIRST_READS = [
  [
    /^\/$/,
    [
      "/api/v1/incidents?states=INCIDENT_STATE_OPEN&states=INCIDENT_STATE_ACKNOWLEDGED&states=INCIDENT_STATE_SETTLING&pageSize=1000",
    ],
  ],
  [/^\/alerts$/, ["/api/v1/alerts:count", "/api/v1/alerts?pageSize=200"]],
  [/^\/incidents\/([^/?]+)$/, ["/api/v1/incidents/$1"]],
];

/** Whether the session of this browser goes on. */
async function askForSession() {
  const answer = await fetch("/api/v1/auth/session:refresh", { method: "POST" });
  return { status: answer.status, grant: answer.ok ? await answer.json() : null };
}

/** @param {string} path @param {Promise<{grant: any}>} session */
async function readAhead(path, session) {
  const { grant } = await session;
  return grant && fetch(path, { headers: { Authorization: `Bearer ${grant.access_token}` } });
}

function askAhead() {
  /** @type {Map<string, Promise<Response | null>>} */
  const reads = new Map();
  // what is looked for session.js leaves while there is a cookie, which scripts cannot see
  if (localStorage.getItem("sensus-session") === null) return { session: null, reads };
  // one page of this browser at a time, for each cookie is good once
  const session = navigator.locks
    ? navigator.locks.request("sensus-session", askForSession)
    : askForSession();
  const page = location.pathname + location.search;
  const [pattern, paths] = FIRST_READS.find(([each]) => each.test(page)) ?? [/./, []];
  for (const path of paths.map((each) => page.replace(pattern, each)))
    reads.set(path, readAhead(path, session).catch(() => null));
  return { session, reads };
}

/**
 * Answers for session.js and api.js, each for who takes it first.
 *
 * @type {{session: Promise<{status: number, grant: any}> | null, reads: Map<string, Promise<Response | null>>}}
 */
// oxlint-disable-next-line no-unused-vars -- a global, which those modules use
var ahead = askAhead();
