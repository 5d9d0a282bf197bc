// What charts are called: what they show, where, and what tells them apart from the others of a page.

import { label, place, selectorOf } from "../format.js";

/** @typedef {import("../format.js").Label} Label */

/**
 * A title for each series: `mode=user · host-1 · cpu_cores`. Those that would be called the same
 * name the fewest labels that tell them apart, those with most different values first.
 *
 * @param {Label[][]} all labels of the series of one page
 * @param {(labels: Label[]) => string} [shown] what is said in any case
 */
export function titlesOf(all, shown = whatAndWhere) {
  const texts = all.map(shown);
  return all.map((labels, index) => {
    const alike = all.filter((_, other) => texts[other] === texts[index]);
    const differences = apart(alike).map((name) => {
      const value = label(labels, name);
      return value ? `${name}=${value}` : `no ${name}`;
    });
    return [...differences, texts[index]].filter(Boolean).join(" · ");
  });
}

/** @param {Label[]} labels */
function whatAndWhere(labels) {
  return [place(labels), label(labels, "__name__")].filter(Boolean).join(" · ") || selectorOf(labels);
}

/** Names of labels that together differ between any two. @param {Label[][]} alike */
function apart(alike) {
  const names = [...new Set(alike.flat().map((each) => each.name))].sort();
  /** @type {string[]} */
  const taken = [];
  const kinds = (/** @type {string[]} */ by) =>
    new Set(alike.map((labels) => JSON.stringify(by.map((name) => label(labels, name))))).size;
  for (let count = 1; count < kinds(names); count = kinds(taken))
    taken.push(
      names.reduce((best, name) =>
        kinds([...taken, name]) > kinds([...taken, best]) ? name : best,
      ),
    );
  return taken;
}
