// Calls to the API in the name of who is logged in.

import * as session from "./session.js";

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
    const token = await session.token();
    if (!token) throw new ApiError(401, { message: "log in to go on" });
    const headers = { ...init.headers, Authorization: `Bearer ${token}` };
    const answer = await fetch(path, { ...init, headers });
    if (answer.status !== 401 || !isFirst) return answer;
    session.distrust();
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
