// Owns how words are chosen, and how numbers and times are written, in the language that was chosen.

import { chinese } from "./chinese.js";
import { english } from "./english.js";

/** @import { Chat } from "./store.js" */

/**
 * A key of the words; a provider's and an error's may be unknown to this page.
 * @typedef {keyof typeof english | `provider_${string}` | `why_${string}`} Key
 */

/** @type {Record<string, Record<string, string>>} */
const tables = { en: english, "zh-CN": chinese };

export const language = () => document.documentElement.lang;

/**
 * The words called `key`, with `{name}` filled in; "" where there are none.
 * @param {Key} key
 * @param {Record<string, string | number | null | undefined>} values
 */
export function t(key, values = {}) {
  const table = tables[language()];
  const words = (values.count === 1 && table[`${key}_one`]) || table[key] || "";
  return words.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/**
 * An error's code in a few words, or the code itself.
 * @param {string} code
 */
export const reason = (code) => t(`why_${code}`) || code;

/** @param {Pick<Chat, "state">} row */
export const stateWords = (row) => t(`state_${row.state}`);

/** @param {number} value */
export const number = (value, digits = 0) =>
  new Intl.NumberFormat(language(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

/** @param {number | Date} date */
export const time = (date) =>
  new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "short" }).format(date);

/**
 * A day that is written YYYY-MM-DD.
 * @param {string} date
 */
export const day = (date) =>
  new Intl.DateTimeFormat(language(), { month: "short", day: "numeric", timeZone: "UTC" }).format(Date.parse(date));

/** @type {[number, "day" | "hour" | "minute" | "second"][]} */
const UNITS = [
  [86_400, "day"],
  [3600, "hour"],
  [60, "minute"],
  [1, "second"],
];

/**
 * A Unix time as "4 minutes ago".
 * @param {number} unix
 */
export function ago(unix) {
  const seconds = Math.max(0, Math.round(Date.now() / 1000 - unix));
  const [size, unit] = UNITS.find(([least]) => seconds >= least) ?? UNITS[UNITS.length - 1];
  return new Intl.RelativeTimeFormat(language(), { numeric: "auto" }).format(-Math.floor(seconds / size), unit);
}

/**
 * So many seconds as "4 minutes".
 * @param {number} seconds
 */
export function lasting(seconds) {
  const [size, unit] = UNITS.find(([least]) => seconds >= least) ?? UNITS[UNITS.length - 1];
  const format = new Intl.NumberFormat(language(), { style: "unit", unit, unitDisplay: "long" });
  return format.format(Math.max(1, Math.round(seconds / size)));
}
