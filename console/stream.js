// All events as one stream: opened again after a cut, from the last event on, so that nothing is
// lost and nothing comes twice.

import { authorized, distrust, loggedIn } from "./api.js";
import { noteServerTime } from "./format.js";

const QUIET_MS = 40_000;
const TOGETHER_MS = 300;
const AGAIN_MS = 2000;
const WAITS_MS = [500, 1000, 2000, 5000, 10_000];

/**
 * Fires one event per frame, named by its topic (`incidents`, `alerts`, …) with the detail
 * `{kind, frame}`, "state" when the connection comes or goes, "watched" once after the first
 * connection, when all topics are watched: what was read before is not known to be whole; and "lost"
 * when the place in the stream is not known any more: what is shown must be read again.
 */
export const live = new EventTarget();

/** @type {"connecting" | "live" | "cut"} */
let state = "connecting";
let lastId = "";
/** Topics whose service is away now. */
const away = new Set();
let run = 0;
/** Topics whose place is in `lastId`: others begin where their log is when they are watched. */
const placed = new Set();
/** What is told when such a topic is watched. */
let untold = "watched";
let telling = 0;
/** When "watched" was told. */
let watchedMs = 0;

export function liveState() {
  return { state, away: [...away] };
}

/**
 * Reads once more what a page has read before all was watched; again where that fails.
 * @param {{signal: AbortSignal, beganMs: number}} visit @param {() => Promise<void>} read
 */
export function whenWatched({ signal, beganMs }, read) {
  const readAgain = async () => {
    while (!signal.aborted) {
      try {
        return await read();
      } catch {
        await new Promise((done) => setTimeout(done, AGAIN_MS));
      }
    }
  };
  if (watchedMs > beganMs) readAgain();
  else live.addEventListener("watched", readAgain, { signal });
}

/** Follows from now on until `stop`. */
export async function start() {
  const mine = ++run;
  for (let failures = 0, isFirst = true; mine === run; isFirst = false) {
    const began = Date.now();
    try {
      await follow(mine, isFirst);
    } catch {
      // said by the state below; opened again
    }
    if (mine !== run || !loggedIn()) return;
    failures = Date.now() - began > QUIET_MS ? 0 : failures + 1;
    change("cut");
    await new Promise((done) =>
      setTimeout(done, WAITS_MS[Math.min(failures, WAITS_MS.length) - 1] ?? 0),
    );
  }
}

export function stop() {
  run++;
  forgetPlace();
  away.clear();
}

function forgetPlace() {
  lastId = "";
  placed.clear();
}

/** @param {number} mine @param {boolean} isFirst */
async function follow(mine, isFirst) {
  const abort = new AbortController();
  let alive = Date.now();
  const guard = setInterval(() => {
    if (mine !== run || Date.now() - alive > QUIET_MS) abort.abort();
  }, 1000);
  try {
    /** @type {Record<string, string>} */
    const headers = { Accept: "text/event-stream" };
    if (lastId) headers["Last-Event-ID"] = lastId;
    const answer = await authorized("/api/v1/events", { headers, signal: abort.signal });
    if (answer.status === 400) forgetPlace();
    if (!answer.ok || !answer.body) throw new Error(`the stream was refused: ${answer.status}`);
    change("live");
    // a topic without a place, because the stream was cut before or the logs were restored from an
    // older copy: nobody knows what came before it is watched again
    untold = isFirst ? "watched" : "lost";
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done || mine !== run) return;
      alive = Date.now();
      rest = taken(rest + value);
    }
  } finally {
    clearInterval(guard);
    abort.abort();
  }
}

/** Handles whole events; what is left is the begin of the next. @param {string} text */
function taken(text) {
  const blocks = text.split("\n\n");
  const rest = blocks.pop() ?? "";
  for (const block of blocks) handle(block);
  return rest;
}

/** @param {string} block */
function handle(block) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of block.split("\n")) {
    const at = line.indexOf(": ");
    if (at > 0) fields[line.slice(0, at)] = line.slice(at + 2);
  }
  if (!fields.data) return;
  const { topic, frame, error } = JSON.parse(fields.data);
  if (fields.event === "error") {
    distrust();
    if (error?.code === 400) forgetPlace();
  }
  if (!topic) return;
  const isAway = fields.event === "unavailable",
    isPlaced = placed.has(topic);
  if (fields.id) lastId = fields.id;
  if (!isAway) placed.add(topic);
  const isNews = isAway !== away.has(topic);
  if (isAway) away.add(topic);
  else away.delete(topic);
  if (isNews || fields.event === "watching") {
    noteServerTime(frame?.heartbeat?.serverTime);
    live.dispatchEvent(new Event("state"));
  }
  if (fields.event === "watching" && !isPlaced) tellSoon(untold);
  if (isAway || fields.event === "watching") return;
  live.dispatchEvent(new CustomEvent(topic, { detail: { kind: fields.event, frame } }));
}

/** Once for all topics that are watched within a moment. @param {string} name */
function tellSoon(name) {
  clearTimeout(telling);
  telling = setTimeout(() => {
    if (name === "watched") watchedMs = performance.now();
    live.dispatchEvent(new Event(name));
  }, TOGETHER_MS);
}

/** @param {"connecting" | "live" | "cut"} next */
function change(next) {
  if (state === next) return;
  state = next;
  live.dispatchEvent(new Event("state"));
}
