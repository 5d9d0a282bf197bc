// The frame around all pages: navigation, who is logged in, whether the view is live.

import { loggedIn, logOut, may, resumed, sessionEvents } from "./api.js";
import { button, fill, h, link, say } from "./dom.js";
import * as router from "./router.js";
import { live, liveState, start, stop } from "./stream.js";

/** @type {[string, string, string, string][]} path, name, key, scope */
const PAGES = [
  ["/", "Now", "g n", "read:analysis"],
  ["/alerts", "Alerts", "g a", "read:alerts"],
  ["/services", "Services", "g s", "read:incidents"],
  ["/explore", "Explore", "g x", "read:samples"],
  ["/notices", "Notices", "g o", "read:notices"],
  ["/rules", "Rules", "g r", "read:analysis"],
  ["/people", "People", "g p", "admin"],
];

/** After so long the stream is opened, whether the first page was read or not. */
const STREAM_MS = 1000;

const top = /** @type {HTMLElement} */ (document.getElementById("top"));

function drawTop() {
  const user = loggedIn();
  if (!user) {
    fill(top, h("strong", {}, "Sensus"));
    return;
  }
  const links = PAGES.filter(([, , , scope]) => may(scope)).map(([path, name]) => {
    const isHere =
      path === "/"
        ? ["/", "/incidents"].some(
            (each) =>
              location.pathname === each ||
              (each !== "/" && location.pathname.startsWith(`${each}/`)),
          )
        : location.pathname.startsWith(path);
    return h(
      "li",
      {},
      link(path, { "aria-current": isHere ? "page" : null, "data-key": `nav${path}` }, name),
    );
  });
  fill(
    top,
    h("strong", {}, "Sensus"),
    h("nav", { "aria-label": "Pages" }, h("ul", {}, ...links)),
    liveness(),
    h("span", { class: "who" }, user.userName || user.subject),
    button("Log out", logOut, { class: "plain", "data-key": "log-out" }),
  );
}

function liveness() {
  const { state, away } = liveState();
  if (state === "cut") return h("span", { class: "liveness cut" }, "▲ not live: connecting again");
  if (away.length) return h("span", { class: "liveness cut" }, `▲ unavailable: ${away.join(", ")}`);
  const isLive = state === "live";
  return h("span", { class: `liveness ${isLive ? "on" : ""}` }, isLive ? "● live" : "connecting");
}

function enter() {
  const target = new URL(new URLSearchParams(location.search).get("to") || "/", location.origin);
  const isPage = target.origin === location.origin && target.pathname !== "/login";
  const shown =
    location.pathname === "/login"
      ? router.go(isPage ? target.pathname + target.search : "/", { replace: true })
      : router.show();
  // what is wrong comes first: the stream opens a watch in each service
  const waited = new Promise((done) => setTimeout(done, STREAM_MS));
  Promise.race([shown, waited]).then(start);
}

/** The page stays as it is, with what was typed; a dialog asks who is there. */
async function expired() {
  stop();
  drawTop();
  if (location.pathname === "/login") return;
  // a release took the files of this page away: what was typed goes with them
  const login = await import("./pages/login.js").catch(() => location.reload());
  if (!login) return;
  await login.askAgain();
  say("logged in again");
  drawTop();
  start();
}

/** What is shown may be gone. What was typed stays: then the button does it. */
function readAgain() {
  const isTyped = [...document.querySelectorAll("main textarea, main input")].some(
    (each) =>
      (each instanceof HTMLTextAreaElement || each instanceof HTMLInputElement) &&
      each.value !== each.defaultValue,
  );
  if (!isTyped) return router.show();
  const again = button("Something may have been missed: show this page anew", () =>
    router.show(),
  );
  again.className = "news";
  document.getElementById("main")?.prepend(again);
}

async function begin() {
  router.fetchAhead();
  router.listenToKeys();
  router.intercept();
  for (const [path, name, shortcut, scope] of PAGES)
    router.key(shortcut, name, () => may(scope) && router.go(path));
  live.addEventListener("state", drawTop);
  live.addEventListener("lost", readAgain);
  router.visits.addEventListener("shown", drawTop);
  const isResumed = await resumed;
  sessionEvents.addEventListener("ended", expired);
  if (isResumed) return enter();
  const to = location.pathname + location.search;
  if (location.pathname !== "/login")
    history.replaceState({}, "", to === "/" ? "/login" : `/login?to=${encodeURIComponent(to)}`);
  drawTop();
  await router.show();
}

sessionEvents.addEventListener("begun", enter);
begin();
