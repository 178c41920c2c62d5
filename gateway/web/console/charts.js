// Owns the pictures of days: bars that are stacked, each part with its name, and for a screen reader a table.

import { h, svg } from "./dom.js";
import { day, t } from "./words.js";

/** @import { Words } from "./dom.js" */
/**
 * One of the things that are stacked: a number for each day. `kind` is its colour's class.
 * @typedef {object} Series
 * @property {Words} name
 * @property {number[]} values
 * @property {string} kind
 */

const HEIGHT = 120;
const STEP = 10;
const GAP = 1.5;

/** So many have a colour of their own; the rest are one. */
export const MOST = 8;

/** @param {Words} words */
const said = (words) => (typeof words === "function" ? words() : words);

/** @param {number[]} values */
const sum = (values) => values.reduce((total, value) => total + value, 0);

/**
 * A picture under its title, with a legend, and the table that it shows.
 * @param {Words} title
 * @param {string[]} days as YYYY-MM-DD
 * @param {Series[]} series the largest first
 * @param {(value: number) => string} format
 */
export function stackedDays(title, days, series, format) {
  const totals = days.map((_, at) => sum(series.map(({ values }) => values[at])));
  const most = Math.max(...totals, Number.EPSILON);
  const picture = svg("svg", { viewBox: `0 0 ${days.length * STEP} ${HEIGHT}`, preserveAspectRatio: "none", role: "table" });
  const label = () => picture.setAttribute("aria-label", said(title));
  const rows = days.map((date, at) => stack(date, at, series, most, format));
  picture.append(...rows);
  label();
  return h(
    "figure",
    { class: "days" },
    h("figcaption", {}, h("h2", {}, title), h("span", { class: "hint" }, () => t("mostADay", { most: format(most) }))),
    picture,
    h("div", { class: "axis hint", "aria-hidden": "true" }, ...ends(days).map((date) => h("span", {}, () => day(date)))),
    h(
      "ul",
      { class: "legend" },
      ...series.map(({ name, values, kind }) =>
        h("li", {}, h("span", { class: `swatch ${kind}` }), name, " ", h("b", {}, () => format(sum(values)))),
      ),
    ),
    h("details", {}, h("summary", {}, () => t("table")), table(title, days, series, format)),
  );
}

/** @param {string[]} days */
const ends = (days) => (days.length > 2 ? [days[0], days[Math.floor((days.length - 1) / 2)], days[days.length - 1]] : days);

/** @type {(date: string, at: number, series: Series[], most: number, format: (value: number) => string) => SVGElement} */
function stack(date, at, series, most, format) {
  let top = HEIGHT;
  const cells = series.flatMap(({ name, values, kind }) => {
    if (!values[at]) return [];
    const height = Math.max((values[at] / most) * (HEIGHT - 2), 0.7);
    top -= height;
    const words = `${day(date)}: ${said(name)}: ${format(values[at])}`;
    const place = { x: at * STEP + GAP, y: top, width: STEP - 2 * GAP, height };
    const title = svg("title");
    title.textContent = words;
    return [svg("rect", { ...place, class: kind, role: "cell", "aria-label": words }, title)];
  });
  return svg("g", cells.length ? { role: "row" } : {}, ...cells);
}

/** @type {(title: Words, days: string[], series: Series[], format: (value: number) => string) => HTMLElement} */
function table(title, days, series, format) {
  const shown = days.map((date, at) => ({ date, at })).filter(({ at }) => series.some(({ values }) => values[at]));
  return h(
    "div",
    { class: "wide", tabIndex: 0, role: "region", "aria-label": title },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h("tr", {}, h("th", { scope: "col" }, () => t("day")), ...series.map(({ name }) => h("th", { scope: "col" }, name))),
      ),
      h(
        "tbody",
        {},
        ...shown.map(({ date, at }) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, () => day(date)),
            ...series.map(({ values }) => h("td", { class: "right" }, () => (values[at] ? format(values[at]) : "–"))),
          ),
        ),
      ),
    ),
  );
}

/**
 * The largest of what is named, and the sum of the others.
 * @param {Map<string, number[]>} named numbers for each day, by name
 * @param {(name: string) => Words} words
 * @returns {Series[]}
 */
export function largest(named, words) {
  const sorted = [...named].sort(([, one], [, other]) => sum(other) - sum(one)).filter(([, values]) => sum(values) > 0);
  const first = sorted.slice(0, sorted.length > MOST ? MOST - 1 : MOST);
  const rest = sorted.slice(first.length).map(([, values]) => values);
  const series = first.map(([name, values], at) => ({ name: words(name), values, kind: `c${at}` }));
  if (rest.length) {
    const values = rest[0].map((_, at) => sum(rest.map((one) => one[at])));
    series.push({ name: () => t("others", { count: rest.length }), values, kind: "rest" });
  }
  return series;
}
