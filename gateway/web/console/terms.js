// Owns the words for what a chat may spend, and what is left at its provider.

import { ago, number, t } from "./words.js";

/** @import { Chat } from "./store.js" */

/** @param {Chat} row */
export function spent({ budget, price }) {
  if (!budget) return "";
  const { money, tokens, spent_money, spent_tokens, per } = budget;
  /** @type {(part: string, most: string) => string} */
  const words = (part, most) => t(per === "day" ? "usedToday" : "usedThisMonth", { used: part, budget: most });
  const parts = [];
  if (money !== null) parts.push(words(number(spent_money, 2), `${number(money, 2)} ${price?.currency ?? ""}`.trim()));
  if (tokens !== null) parts.push(words(number(spent_tokens), t("tokens", { count: number(tokens) })));
  return parts.join(t("comma"));
}

/** @param {Chat} row */
export function left({ balance, low }) {
  if (!balance) return "";
  const values = {
    amount: `${number(balance.amount, 2)} ${balance.currency}`.trim(),
    low: number(low ?? 0, 2),
    since: ago(balance.at),
  };
  return t(low !== null && balance.amount < low ? "leftLow" : "left", values);
}
