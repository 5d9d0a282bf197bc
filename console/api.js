// Who is logged in, and calls to the API in that name. The access token is in memory only; the
// refresh token is a cookie that no script can read.

/** @typedef {{userName: string, role: string, scopes: string[], subject: string}} Me */

const REFRESH_EARLY_S = 60;
/** Kept while this browser has a cookie, which scripts cannot see: without it nobody asks. */
const BEGUN = "sensus-session";

/** @type {{token: string, untilMs: number} | null} */
let access = null;
/** @type {Promise<boolean> | null} */
let refreshing = null;
/** @type {Me | null} */
let me = null;
/** Whose pages are shown, also while the session is over. */
let shownTo = "";

/** Fires "ended" when the session is over and somebody must log in again. */
export const sessionEvents = new EventTarget();

/** @returns {Me | null} */
export function loggedIn() {
  return me;
}

/** @param {string} scope */
export function may(scope) {
  return Boolean(me && (me.scopes.includes(scope) || me.scopes.includes("admin")));
}

/**
 * Logs in by name and password, or by a link that is good once.
 *
 * @param {{userName: string, password: string} | {link: string}} sent
 */
export async function logIn(sent) {
  const answer = await fetch("/api/v1/auth/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(sent),
  });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error?.message ?? `log-in failed: ${answer.status}`);
  take(body);
}

/** Goes on with the session of this browser, if there is one. @returns {Promise<boolean>} */
async function resume() {
  if (!localStorage.getItem(BEGUN)) return false;
  refreshing ??= refresh().finally(() => (refreshing = null));
  return refreshing;
}

/** A token that holds a while, or null when nobody is logged in. @returns {Promise<string | null>} */
async function token() {
  if (access && access.untilMs > Date.now()) return access.token;
  return (await resume()) ? (access?.token ?? null) : null;
}

/** What was thought to hold does not: the next call gets a new one. */
export function distrust() {
  access = null;
}

/** Logs out, and leaves nothing of what was shown. */
export async function logOut() {
  const held = await token();
  if (held) {
    const headers = { Authorization: `Bearer ${held}` };
    const answer = await fetch("/api/v1/auth/logout", { method: "POST", headers });
    if (!answer.ok && answer.status !== 401)
      throw new Error(`the log-out failed: ${answer.status}`);
  }
  localStorage.removeItem(BEGUN);
  location.assign("/login");
}

function over() {
  access = me = null;
  localStorage.removeItem(BEGUN);
  sessionEvents.dispatchEvent(new Event("ended"));
}

async function refresh() {
  const { ahead } = globalThis;
  const asked = ahead.session ?? globalThis.askForSession();
  ahead.session = null;
  const { status, grant } = await asked;
  if (status === 401 || status === 403) {
    if (me) over();
    localStorage.removeItem(BEGUN);
    return false;
  }
  if (!grant) throw new Error(`the session could not be renewed: ${status}`);
  take(grant);
  return true;
}

/** @param {{access_token: string, expires_in: number, user: Me}} grant */
function take(grant) {
  const lifeS = Math.max(grant.expires_in - REFRESH_EARLY_S, grant.expires_in / 2);
  localStorage.setItem(BEGUN, "1");
  access = { token: grant.access_token, untilMs: Date.now() + lifeS * 1000 };
  me = grant.user;
  // another page of this browser logged somebody else in: nothing here is theirs
  if (shownTo && shownTo !== me.subject) location.assign("/");
  shownTo = me.subject;
}

/** Whether the session of this browser goes on, as `ahead.js` has asked. */
export const resumed = resume().catch(() => false);

/** An answer that is no success, with the reason of the API. */
export class ApiError extends Error {
  /** @param {number} status @param {{message?: string, details?: {reason?: string}[]}} error */
  constructor(status, error) {
    super(error.message ?? `the server answered ${status}`);
    this.status = status;
    this.reason = error.details?.find((each) => each.reason)?.reason ?? "";
  }
}

/**
 * @param {string} path
 * @param {Record<string, string | number | boolean | string[] | undefined>} [query]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export function get(path, query = {}, signal) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== "") params.append(name, String(each));
    }
  }
  return send("GET", params.size ? `${path}?${params}` : path, undefined, signal);
}

/** @param {string} path @param {object} [body] @returns {Promise<any>} */
export const post = (path, body = {}) => send("POST", path, body);
/** @param {string} path @param {object} body @returns {Promise<any>} */
export const put = (path, body) => send("PUT", path, body);
/** @param {string} path @param {object} body @returns {Promise<any>} */
export const patch = (path, body) => send("PATCH", path, body);
/** @param {string} path @returns {Promise<any>} */
export const remove = (path) => send("DELETE", path);

/** A key that makes a change safe to repeat. */
export const requestId = () => crypto.randomUUID();

/**
 * A response in the name of who is logged in; a token that went stale is renewed once.
 *
 * @param {string} path
 * @param {RequestInit} init
 */
export async function authorized(path, init) {
  for (let isFirst = true; ; isFirst = false) {
    const held = await token();
    if (!held) throw new ApiError(401, { message: "log in to go on" });
    const headers = { ...init.headers, Authorization: `Bearer ${held}` };
    const answer = await fetch(path, { ...init, headers });
    if (answer.status !== 401 || !isFirst) return answer;
    distrust();
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @param {AbortSignal} [signal]
 */
async function send(method, path, body, signal) {
  /** @type {RequestInit} */
  const init = {
    method,
    signal,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
  };
  const answer = (method === "GET" && (await takenAhead(path))) || (await authorized(path, init));
  signal?.throwIfAborted();
  const text = await answer.text();
  const content = text ? parsed(text) : {};
  if (!answer.ok) throw new ApiError(answer.status, content?.error ?? {});
  return content;
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** What `ahead.js` was answered, once; nothing where that was no success. @param {string} path */
async function takenAhead(path) {
  const { reads } = globalThis.ahead;
  const asked = reads.get(path);
  reads.delete(path);
  const answer = await asked;
  return answer?.ok ? answer : null;
}
