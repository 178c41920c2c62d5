// Owns which days are looked at: a select of the usual ones, and two dates.

import { field, h } from "./dom.js";
import { t } from "./words.js";

/** @import { Key } from "./words.js" */

/** @param {Date} date */
export const iso = (date) =>
  [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-");

/**
 * The first and the last day of each; a month or a day back is what the calendar says it is.
 * @type {[Key, (now: Date) => [Date, Date]][]}
 */
const PERIODS = [
  ["thisMonth", (now) => [new Date(now.getFullYear(), now.getMonth(), 1), now]],
  [
    "lastMonth",
    (now) => [new Date(now.getFullYear(), now.getMonth() - 1, 1), new Date(now.getFullYear(), now.getMonth(), 0)],
  ],
  ["week", (now) => [new Date(now.getFullYear(), now.getMonth(), now.getDate() - 6), now]],
  ["thirty", (now) => [new Date(now.getFullYear(), now.getMonth(), now.getDate() - 29), now]],
];
const MOST_DAYS = 366;

/**
 * All days from the first to the last, as YYYY-MM-DD.
 * @param {string} from
 * @param {string} to
 */
export function daysOf(from, to) {
  /** @type {string[]} */
  const days = [];
  const [year, month, date] = from.split("-").map(Number);
  for (let at = 0; at < MOST_DAYS && (days.at(-1) ?? "") < to; at += 1)
    days.push(iso(new Date(year, month - 1, date + at)));
  return days;
}

/**
 * @param {() => void} changed
 */
export function periodFields(changed) {
  const select = h(
    "select",
    { onchange: () => choose() },
    ...PERIODS.map(([name]) => h("option", { value: name, text: () => t(name) })),
    h("option", { value: "", text: () => t("otherDays") }),
  );
  const from = h("input", { type: "date", required: true, onchange: () => own() });
  const to = h("input", { type: "date", required: true, onchange: () => own() });
  function choose() {
    const period = PERIODS.find(([name]) => name === select.value)?.[1];
    if (!period) {
      from.focus();
      return;
    }
    [from.value, to.value] = period(new Date()).map(iso);
    changed();
  }
  function own() {
    select.value = "";
    if (from.value && to.value && from.value <= to.value) changed();
  }
  [from.value, to.value] = PERIODS[0][1](new Date()).map(iso);
  const element = h(
    "div",
    { class: "period" },
    field(() => t("period"), select),
    field(() => t("firstDay"), from),
    field(() => t("lastDay"), to),
  );
  return { element, days: () => ({ from: from.value, to: to.value }) };
}
