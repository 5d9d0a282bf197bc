// Asks whether the session of this browser goes on, before the modules have come: they wait for each
// other, and everybody would wait for this answer after them. So this is no module.

const askAhead = () => fetch("/api/v1/auth/session:refresh", { method: "POST" });

/**
 * The answer, for session.js; one page of this browser at a time, for each cookie is good once. What
 * is looked for first session.js leaves while there is a cookie, which scripts cannot see.
 *
 * @type {Promise<Response> | undefined}
 */
// oxlint-disable-next-line no-unused-vars -- a global, which session.js uses
var refreshAhead =
  localStorage.getItem("sensus-session") === null
    ? undefined
    : navigator.locks
      ? navigator.locks.request("sensus-session", askAhead)
      : askAhead();
