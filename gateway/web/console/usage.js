// Owns the view Usage: what each caller and chat asked this month, and what it cost.

import { Failure, get } from "./api.js";
import { button, failure, h } from "./dom.js";
import { number, t } from "./words.js";

/**
 * A sum, as GET /usage tells it.
 * @typedef {object} Row
 * @property {string} caller
 * @property {string} chat
 * @property {number} requests
 * @property {number} errors
 * @property {number} tokens_in
 * @property {number} tokens_out
 * @property {Record<string, number>} money by currency
 */
/** @typedef {{ from: string, to: string, usage: Row[] }} Report */

export function usageView() {
  const lead = h("p");
  const sums = h("div", { class: "wide", tabIndex: 0, role: "region", "aria-labelledby": "usage-title" });
  async function load() {
    try {
      const report = /** @type {Report} */ (await get("usage?by=caller,chat"));
      lead.replaceChildren(h("span", { text: () => t("usageLead", { from: report.from, to: report.to }) }));
      sums.replaceChildren(report.usage.length ? table(report.usage) : h("p", {}, () => t("usageNone")));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      lead.replaceChildren();
      sums.replaceChildren(failure(error));
    }
  }
  const element = h(
    "section",
    { class: "usage", "aria-labelledby": "usage-title" },
    h(
      "div",
      { class: "row spread" },
      h("h1", { id: "usage-title" }, () => t("usage")),
      button(() => t("usageAgain"), load, "quiet"),
    ),
    lead,
    sums,
  );
  addEventListener("hashchange", () => {
    if (location.hash === "#usage" && element.isConnected) load();
  });
  load();
  return element;
}

/** @param {Row[]} rows */
function table(rows) {
  const dearest = [...rows].sort((one, other) => cost(other) - cost(one) || other.requests - one.requests);
  const heads = /** @type {const} */ (["caller", "chat", "asked", "failed", "tokensIn", "tokensOut", "money"]);
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, () => t(head))))),
    h("tbody", {}, ...dearest.map(line)),
  );
}

/** @param {Row} row */
function line(row) {
  const counts = [row.requests, row.errors, row.tokens_in, row.tokens_out];
  const money = () =>
    Object.entries(row.money)
      .map(([currency, amount]) => `${number(amount, 2)} ${currency}`)
      .join(t("comma"));
  return h(
    "tr",
    {},
    h("td", {}, row.caller || (() => t("noToken"))),
    h("td", {}, row.chat || "–"),
    ...counts.map((count) => h("td", { class: "right", text: () => number(count) })),
    h("td", { class: "right", text: money }),
  );
}

/** @param {Row} row */
const cost = (row) => Object.values(row.money).reduce((sum, amount) => sum + amount, 0);
