// Asks for what the first page needs before any module has come: what they bring with them would be
// done first. So this is no module, and stands in the page.

/** What a page reads first, as it asks for it itself. @type {[RegExp, string[]][]} */
const FIRST_READS = [
  [
    /^\/$/,
    [
      "/api/v1/incidents?states=INCIDENT_STATE_OPEN&states=INCIDENT_STATE_ACKNOWLEDGED&states=INCIDENT_STATE_SETTLING&pageSize=1000",
    ],
  ],
  [/^\/alerts$/, ["/api/v1/alerts:count", "/api/v1/alerts?pageSize=100"]],
  [/^\/incidents\/([^/?]+)$/, ["/api/v1/incidents/$1"]],
];

/** Whether the session of this browser goes on. @returns {Promise<{status: number, grant: any}>} */
async function askForSession() {
  const answer = await fetch("/api/v1/auth/session:refresh", { method: "POST" });
  return { status: answer.status, grant: answer.ok ? await answer.json() : null };
}

/** Answers, each for the module that takes it first; null where there is none. */
// oxlint-disable-next-line no-unused-vars -- a global, which api.js uses
var ahead = (() => {
  /** @type {Map<string, Promise<Response | null>>} */
  const reads = new Map();
  /** @type {ReturnType<typeof askForSession> | null} */
  let session = null;
  // kept by api.js while there is a cookie, which scripts cannot see
  if (localStorage.getItem("sensus-session")) {
    session = askForSession();
    const page = location.pathname + location.search;
    const [pattern, paths] = FIRST_READS.find(([each]) => each.test(page)) ?? [/./, []];
    for (const path of paths.map((each) => page.replace(pattern, each)))
      reads.set(path, read(path, session).catch(() => null));
  }
  return { session, reads };

  /** @param {string} path @param {ReturnType<typeof askForSession>} session */
  async function read(path, session) {
    const { grant } = await session;
    return grant && fetch(path, { headers: { Authorization: `Bearer ${grant.access_token}` } });
  }
})();
