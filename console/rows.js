// A list of any length of which a screenful is in the document. Nothing moves under the pointer:
// what is new waits behind a button.

import { fill, h, say } from "./dom.js";
import { counted } from "./format.js";

/** Two lines where the screen is narrow, as the style says. */
const narrow = matchMedia("(max-width: 40rem)");
const rowPx = () => (narrow.matches ? 64 : 44);
/** Most of the height of the screen, and most rows, that a list has, as the style says. */
const SCREEN_SHARE = 0.7;
const SEEN_MOST = 40;
/** Rows above and below those that are seen. */
const SPARE = 8;
/** After so long without a hand on the page nothing is under the pointer: new rows show up. */
const IDLE_MS = 60_000;
/** New rows that are kept while they wait; of more it is only said that there are more. */
const WAITING = 200;
/** Rows of a list that can be read anew; what is older is read again when it is scrolled to. */
const KEPT = 1000;

let touchedMs = Date.now();
for (const kind of ["pointermove", "pointerdown", "keydown", "wheel"])
  addEventListener(kind, () => (touchedMs = Date.now()), { passive: true, capture: true });

/**
 * @template T
 * @typedef {object} RowOptions
 * @property {string} name what screen readers call the list
 * @property {string} [kind] a class of the list
 * @property {string[]} columns
 * @property {(item: T) => string} keyOf
 * @property {(item: T) => (import("./dom.js").Child)[]} cells
 * @property {(item: T) => void} [open]
 * @property {() => import("./dom.js").Child} [empty]
 * @property {(a: T, b: T) => number} [order]
 * @property {(isNear: true) => void} [more] called when the end comes near
 * @property {() => void} [renew] reads the first page again, instead of keeping all that ever came
 */

/**
 * @template T
 * @param {RowOptions<T>} options
 */
export function rows(options) {
  /** @type {T[]} */
  let items = [];
  /** @type {Map<string, T>} */
  const waiting = new Map();
  let current = 0;
  let isKnown = false,
    isStale = false,
    isOver = false;
  /** Rows in the document, by key. @type {Map<string, {item: T, index: number, element: HTMLElement}>} */
  let drawn = new Map();
  const body = h("div", { role: "rowgroup", class: "rows-body" });
  const head = h(
    "div",
    { role: "row", class: "row head", "aria-rowindex": 1 },
    ...options.columns.map((text) => h("span", { role: "columnheader" }, text)),
  );
  const heading = h("div", { role: "rowgroup" }, head);
  const scroller = h(
    "div",
    { class: "rows", role: "grid", "aria-label": options.name, tabindex: -1 },
    heading,
    body,
  );
  const news = h("button", { type: "button", class: "news", hidden: true });
  const element = h("div", { class: `list ${options.kind ?? ""}` }, news, scroller);

  function draw() {
    // nothing is said of a list before it was read
    scroller.hidden = !isKnown;
    if (!isKnown) return;
    // what the list has by now is not asked: it would be laid out for that
    const height = innerHeight * SCREEN_SHARE;
    const px = rowPx(),
      top = Math.floor(scroller.scrollTop / px);
    const first = Math.max(0, top - SPARE);
    const last = Math.min(items.length, top + Math.min(SEEN_MOST, Math.ceil(height / px)) + SPARE);
    body.style.setProperty("--rows", String(items.length));
    element.classList.toggle("bare", !items.length);
    // what has no row is no grid
    heading.hidden = !items.length;
    scroller.setAttribute("role", items.length ? "grid" : "group");
    body.setAttribute("role", items.length ? "rowgroup" : "none");
    if (items.length) scroller.setAttribute("aria-rowcount", String(items.length + 1));
    else scroller.removeAttribute("aria-rowcount");
    const before = drawn;
    drawn = new Map();
    const shown = items.slice(first, last).map((item, index) => row(item, first + index, before));
    if (!items.length)
      fill(body, h("div", { class: "empty" }, options.empty?.() ?? "Nothing here."));
    else if (
      shown.length !== body.children.length ||
      shown.some((each, index) => each !== body.children[index])
    )
      fill(body, shown);
    if (options.more && last > items.length - 2 * SPARE) options.more(true);
  }

  /**
   * The row of an item, which is made only when the item has changed.
   * @param {T} item @param {number} index @param {typeof drawn} before
   */
  function row(item, index, before) {
    const key = options.keyOf(item);
    const known = before.get(key);
    const isSame = known?.item === item;
    const element = isSame ? known.element : made(item, key);
    drawn.set(key, { item, index, element });
    // what is set again is laid out again
    const tabIndex = index === current ? 0 : -1;
    if (element.tabIndex !== tabIndex || !isSame) element.tabIndex = tabIndex;
    if (isSame && known.index === index) return element;
    element.setAttribute("aria-rowindex", String(index + 2));
    element.style.setProperty("--row", String(index));
    return element;
  }

  /** @param {T} item @param {string} key */
  function made(item, key) {
    return h(
      "div",
      {
        role: "row",
        class: "row",
        "data-key": key,
        onclick: (/** @type {MouseEvent} */ event) => {
          current = items.indexOf(item);
          if (!(event.target instanceof Element && event.target.closest("a, button")))
            options.open?.(item);
        },
      },
      ...options.cells(item).map((cell) => h("span", { role: "gridcell" }, cell)),
    );
  }

  /** Moves the focus by rows, and scrolls when it must. @param {number} step */
  function move(step) {
    if (!items.length) return;
    const has = body.contains(document.activeElement);
    current = Math.min(items.length - 1, Math.max(0, has ? current + step : current));
    const px = rowPx(),
      top = current * px,
      height = scroller.clientHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + 2 * px > scroller.scrollTop + height)
      scroller.scrollTop = top + 2 * px - height;
    draw();
    focused()?.focus({ preventScroll: true });
  }

  function focused() {
    const item = items[current];
    const key = item && CSS.escape(options.keyOf(item));
    return /** @type {HTMLElement | null} */ (
      key ? body.querySelector(`[data-key="${key}"]`) : null
    );
  }

  scroller.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  scroller.addEventListener("keydown", (event) => {
    /** @type {Record<string, number>} */
    const steps = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: 10,
      PageUp: -10,
      Home: -Infinity,
      End: Infinity,
    };
    const step = steps[event.key];
    const item = items[current];
    if (step !== undefined) move(step);
    else if (event.key === "Enter" && event.target === focused() && item) options.open?.(item);
    else return;
    event.preventDefault();
  });
  news.addEventListener("click", () => {
    admit();
    scroller.scrollTop = 0;
    current = 0;
    draw();
    focused()?.focus();
  });
  new ResizeObserver(draw).observe(scroller);

  function admit() {
    const isMuch = isOver || items.length + waiting.size > KEPT;
    // lists without an order of their own are newest first, as the API gives them
    items = [...[...waiting.values()].reverse(), ...items];
    if (options.order) items.sort(options.order);
    settle();
    if (isMuch && options.renew) options.renew();
  }

  /** Nothing waits any more. */
  function settle() {
    waiting.clear();
    isStale = isOver = false;
    news.hidden = true;
  }

  /** Whether the row at a place belongs where it is. @param {number} place */
  function isInOrder(place) {
    const [before, item, after] = [items[place - 1], items[place], items[place + 1]];
    if (!options.order || !item) return true;
    return (
      (!before || options.order(before, item) <= 0) && (!after || options.order(item, after) <= 0)
    );
  }

  /** Says what waits; does it at once where nobody is at the page. */
  function offer() {
    if (!items.length || Date.now() - touchedMs > IDLE_MS) {
      admit();
      draw();
      return;
    }
    news.hidden = false;
    const count = isOver ? `more than ${waiting.size}` : waiting.size;
    const texts = [count ? `${count} new` : "", isStale ? "order changed" : ""];
    news.textContent = texts.filter(Boolean).join(", ");
    say(waiting.size ? counted(waiting.size, "new row") : "the order of the rows changed");
  }

  return {
    element,
    /** Shows these and no others. @param {T[]} next */
    set(next) {
      items = options.order ? next.toSorted(options.order) : next;
      settle();
      isKnown = true;
      current = Math.min(current, Math.max(0, items.length - 1));
      draw();
    },
    /** Adds to the end: the next page of what is asked for. @param {T[]} next */
    append(next) {
      const known = new Set(items.map(options.keyOf));
      items = [...items, ...next.filter((item) => !known.has(options.keyOf(item)))];
      draw();
    },
    /** A row that is there changes in its place; one that is not waits, and so does a new order. @param {T} item */
    update(item) {
      const key = options.keyOf(item);
      const place = items.findIndex((each) => options.keyOf(each) === key);
      if (place >= 0) {
        items[place] = item;
        draw();
        if (isStale || isInOrder(place)) return;
        isStale = true;
      } else if (!options.renew || waiting.has(key) || waiting.size < WAITING)
        waiting.set(key, item);
      else isOver = true;
      offer();
    },
    /** All there is by now: rows change in their places, what is gone goes, what is new waits. @param {T[]} next */
    merge(next) {
      const found = new Map(next.map((item) => [options.keyOf(item), item]));
      items = items.flatMap((item) => found.get(options.keyOf(item)) ?? []);
      for (const item of items) found.delete(options.keyOf(item));
      waiting.clear();
      for (const [key, item] of found) waiting.set(key, item);
      draw();
      if (waiting.size) offer();
    },
    /** @param {string} key */
    drop(key) {
      waiting.delete(key);
      items = items.filter((item) => options.keyOf(item) !== key);
      draw();
    },
    move,
    /** The same rows, as time goes on. */
    redraw() {
      drawn.clear();
      draw();
    },
    items: () => items,
    current: () => items[current],
  };
}
