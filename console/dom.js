// Elements made of plain calls. Text is always text: nothing here parses markup.

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, unknown>} Props */

/**
 * An element. Props that begin with "on" are listeners, `true` is an empty attribute, null and
 * false are none.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Props} [props]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...nodes(children));
  return element;
}

/**
 * The nodes of children, without those that are not there.
 *
 * @param {(Child | Child[])[]} children
 * @returns {(Node | string)[]}
 */
export function nodes(children) {
  return children
    .flat()
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/**
 * Replaces what is in an element, and keeps the focus on what has the same id or data-key.
 *
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function fill(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  const key = focused?.id || focused?.getAttribute("data-key");
  element.replaceChildren(...nodes(children));
  if (!key) return;
  const again = element.querySelector(`#${CSS.escape(key)}, [data-key="${CSS.escape(key)}"]`);
  if (again instanceof HTMLElement) again.focus({ preventScroll: true });
}

/** A link inside the console. @param {string} path @param {Props} props @param {...Child} children */
export function link(path, props, ...children) {
  return h("a", { href: path, ...props }, ...children);
}

/** The head of a table; a column of buttons has a name for those who do not see it. @param {string[]} texts */
export function headRow(texts) {
  const cell = (/** @type {string} */ text) =>
    text || h("span", { class: "visually-hidden" }, "Actions");
  return h("thead", {}, h("tr", {}, ...texts.map((text) => h("th", { scope: "col" }, cell(text)))));
}

/**
 * A table of a page's width; on a narrow screen each row is a card whose fields say what they are.
 *
 * @param {string[]} columns
 * @param {(Child | Child[])[][]} list cells of each row, the first of which names it
 * @param {string} [caption] for those who do not see it
 */
export function wideTable(columns, list, caption) {
  return h(
    "table",
    { class: "wide" },
    caption ? h("caption", { class: "visually-hidden" }, caption) : null,
    headRow(columns),
    h(
      "tbody",
      {},
      ...list.map(([first, ...rest]) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, ...[first].flat()),
          ...rest.map((cell, index) =>
            h("td", { "data-label": columns[index + 1] || null }, ...[cell].flat()),
          ),
        ),
      ),
    ),
  );
}

/** Says something to who listens to the page. @param {string} text */
export function say(text) {
  const status = document.getElementById("status");
  if (status) status.textContent = text;
}

/**
 * A button that is busy while its work runs, and says what went wrong.
 *
 * @param {string} text
 * @param {() => Promise<unknown>} work
 * @param {Props} [props]
 */
export function button(text, work, props = {}) {
  const element = h("button", { type: "button", ...props }, text);
  const key = props["data-shortcut"];
  if (typeof key === "string") element.append(" ", h("kbd", { "aria-hidden": true }, key));
  element.addEventListener("click", async () => {
    if (element.getAttribute("aria-busy")) return;
    element.setAttribute("aria-busy", "true");
    try {
      await work();
    } catch (error) {
      say(messageOf(error));
      notify(element, messageOf(error));
    } finally {
      element.removeAttribute("aria-busy");
    }
  });
  return element;
}

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** Shows a message beside an element until the next one. @param {Element} beside @param {string} text */
function notify(beside, text) {
  const next = beside.nextElementSibling;
  if (next?.classList.contains("fault")) next.remove();
  beside.after(h("p", { class: "fault", role: "alert" }, text));
}
