// Owns what is used of a limit or a budget, as bars, and who has which limits.

import { h } from "./dom.js";
import { number, t } from "./words.js";

/**
 * A limit of a caller, as GET /callers tells it.
 * @typedef {{ limit: string, unit: string, per: "min" | "day" | "month", amount: number, used: number }} Limit
 */
/**
 * @typedef {object} Caller
 * @property {string} name
 * @property {string[]} scopes
 * @property {string[]} chats patterns; none: all
 * @property {Limit[]} limits
 * @property {number} tokens how many of them are alike
 */

const NEARLY = 0.8;

/**
 * A bar for each part that is used of a whole.
 * @param {string} name what a screen reader calls it
 * @param {...[number, number]} parts
 */
export function used(name, ...parts) {
  return h(
    "div",
    { class: "bars" },
    ...parts.map(([part, whole]) =>
      h("progress", {
        max: whole,
        value: Math.min(part, whole),
        class: part >= whole ? "full" : part >= NEARLY * whole ? "nearly" : null,
        "aria-label": name,
      }),
    ),
  );
}

/** @param {Limit} limit */
export const limitWords = ({ unit, per, amount, used: part }) => {
  const what = unit === "requests" ? t("requestsUnit") : unit === "tokens" ? t("tokensUnit") : unit;
  const digits = unit === "requests" || unit === "tokens" ? 0 : 2;
  const each = t(per === "min" ? "eachMinute" : per === "day" ? "eachDay" : "eachMonth");
  return t("usedOf", { used: number(part, digits), whole: number(amount, digits), what, each });
};

/** @param {Caller} caller */
export const limitsOf = ({ name, limits }) =>
  limits.flatMap((limit) => [h("p", {}, () => limitWords(limit)), used(name, [limit.used, limit.amount])]);

/** @param {Caller[]} callers */
export const limitRows = (callers) =>
  callers
    .filter(({ limits }) => limits.length)
    .map((caller) => h("div", { class: "term" }, h("h3", {}, caller.name), ...limitsOf(caller)));
