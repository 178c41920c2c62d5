// Owns the view Usage: what was asked, answered and paid by day, and what is left of budgets, limits and balances.

import { Failure, get, getBlob } from "./api.js";
import { largest, stackedDays } from "./charts.js";
import { download, failure, field, h, button } from "./dom.js";
import { limitRows, used } from "./limits.js";
import { daysOf, periodFields } from "./period.js";
import { listen, may, store } from "./store.js";
import { left, spent } from "./terms.js";
import { number, t } from "./words.js";

/** @import { Caller } from "./limits.js" */
/** @import { Series } from "./charts.js" */
/**
 * A sum, as GET /usage tells it.
 * @typedef {object} Row
 * @property {string} day as YYYY-MM-DD
 * @property {string} caller
 * @property {string} chat
 * @property {number} requests
 * @property {number} errors
 * @property {number} fell_back
 * @property {number} tokens_in
 * @property {number} tokens_out
 * @property {Record<string, number>} money by currency
 */
/** @typedef {{ from: string, to: string, usage: Row[] }} Report */

const BY = "day,caller,chat";
/** Else Excel takes UTF-8 for another charset. */
const BOM = "\ufeff";

export function usageView() {
  return new UsageView().element;
}

class UsageView {
  /** @type {Report | null} */
  report = null;
  looks = 0;
  lead = h("p");
  terms = h("div");
  limits = h("div");
  pictures = h("div", { class: "pictures" });
  sums = h("div", { class: "wide", tabIndex: 0, role: "region", "aria-labelledby": "sums-title" });
  period = periodFields(() => this.load());
  by = h(
    "select",
    { onchange: () => this.draw() },
    h("option", { value: "chat", text: () => t("chat") }),
    h("option", { value: "caller", text: () => t("caller") }),
  );
  element = h(
    "section",
    { class: "usage", "aria-labelledby": "usage-title" },
    h(
      "div",
      { class: "row spread" },
      h("h1", { id: "usage-title" }, () => t("usage")),
      h(
        "div",
        { class: "row" },
        button(
          () => t("usageAgain"),
          () => this.load(),
          "quiet",
        ),
        button(
          () => t("downloadCsv"),
          () => this.save(),
        ),
      ),
    ),
    this.period.element,
    this.lead,
    h("div", { class: "terms" }, this.terms, this.limits),
    this.pictures,
    h("h2", { id: "sums-title" }, () => t("byCallerAndChat")),
    this.sums,
  );

  constructor() {
    if (may("admin")) this.period.element.append(field(() => t("toldApart"), this.by));
    addEventListener("hashchange", () => {
      if (location.hash === "#usage" && this.element.isConnected) this.load();
    });
    listen(() => this.drawTerms());
    this.load();
  }

  get query() {
    const { from, to } = this.period.days();
    return `by=${BY}&from=${from}&to=${to}`;
  }

  async load() {
    const mine = (this.looks += 1);
    try {
      const [report, { callers }] = /** @type {[Report, { callers: Caller[] }]} */ (
        await Promise.all([get(`usage?${this.query}`), get("callers")])
      );
      if (mine !== this.looks) return; // other days were chosen meanwhile
      this.report = report;
      this.limits.replaceChildren(...limitRows(callers));
      this.draw();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (mine !== this.looks) return;
      this.report = null;
      this.pictures.replaceChildren();
      this.sums.replaceChildren();
      this.lead.replaceChildren(failure(error));
    }
  }

  draw() {
    const { report } = this;
    if (!report) return;
    const { usage, from, to } = report;
    this.lead.replaceChildren(h("span", { text: () => t(usage.length ? "usageLead" : "usageNone", { from, to }) }));
    const days = daysOf(from, to);
    const by = this.by.value === "caller" ? "caller" : "chat";
    const currencies = [...new Set(usage.flatMap((row) => Object.keys(row.money)))].sort();
    this.pictures.replaceChildren(
      ...currencies.map((currency) =>
        picture(usage, days, by, () => `${t("money")}, ${currency}`, (row) => row.money[currency] ?? 0, money),
      ),
      ...(usage.length
        ? [
            picture(usage, days, by, () => t("tokensByDay"), (row) => row.tokens_in + row.tokens_out, number),
            stackedDays(() => t("requestsByDay"), days, outcomes(usage, days), number),
          ]
        : []),
    );
    this.sums.replaceChildren(usage.length ? table(usage) : "");
  }

  drawTerms() {
    const rows = store.models.filter((row) => row.budget || row.balance);
    this.terms.replaceChildren(
      ...rows.map((row) =>
        h(
          "div",
          { class: "term" },
          h("h3", {}, row.chat_name),
          row.budget ? h("p", {}, () => `${t("budget")}: ${spent(row)}`) : null,
          row.budget ? used(row.chat_name, ...shares(row.budget)) : null,
          row.balance ? h("p", {}, () => `${t("balance")}: ${left(row)}`) : null,
        ),
      ),
    );
  }

  async save() {
    const { from, to } = this.period.days();
    try {
      const csv = await getBlob(`usage?${this.query}&format=csv&charset=utf-8`);
      download(new Blob([BOM, csv], { type: "text/csv" }), `usage-${from}-${to}.csv`);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.lead.replaceChildren(failure(error));
    }
  }
}

/** @type {(budget: import("./store.js").Budget) => [number, number][]} */
const shares = ({ money: most, tokens, spent_money, spent_tokens }) => {
  /** @type {[number, number][]} */
  const all = [];
  if (most !== null) all.push([spent_money, most]);
  if (tokens !== null) all.push([spent_tokens, tokens]);
  return all;
};

/** @param {number} amount */
const money = (amount) => number(amount, 2);

/** @type {(usage: Row[], days: string[], by: "chat" | "caller", title: () => string, of: (row: Row) => number, format: (value: number) => string) => HTMLElement} */
function picture(usage, days, by, title, of, format) {
  /** @type {Map<string, number[]>} */
  const named = new Map();
  for (const row of usage) add(named, row[by], days, row.day, of(row));
  return stackedDays(title, days, largest(named, (name) => name || (() => t(by === "caller" ? "noToken" : "noChat"))), format);
}

/** @type {(named: Map<string, number[]>, name: string, days: string[], date: string, more: number) => void} */
function add(named, name, days, date, more) {
  const values = named.get(name) ?? days.map(() => 0);
  named.set(name, values);
  values[days.indexOf(date)] += more;
}

/** @type {(usage: Row[], days: string[]) => Series[]} */
function outcomes(usage, days) {
  /** @type {Map<string, number[]>} */
  const named = new Map(["answered", "fell_back", "errors"].map((name) => [name, days.map(() => 0)]));
  for (const row of usage) {
    add(named, "answered", days, row.day, row.requests - row.errors - row.fell_back);
    add(named, "fell_back", days, row.day, row.fell_back);
    add(named, "errors", days, row.day, row.errors);
  }
  const [answered, fell, failed] = [...named.values()];
  return [
    { name: () => t("answered"), values: answered, kind: "c0" },
    { name: () => t("fellBackCount"), values: fell, kind: "c1" },
    { name: () => t("failed"), values: failed, kind: "wrong" },
  ];
}

/** @param {Row[]} usage */
function table(usage) {
  /** @type {Map<string, Row>} */
  const sums = new Map();
  for (const row of usage) {
    const key = JSON.stringify([row.caller, row.chat]);
    const sum = sums.get(key) ?? { ...row, requests: 0, errors: 0, tokens_in: 0, tokens_out: 0, money: {} };
    sums.set(key, sum);
    for (const name of /** @type {const} */ (["requests", "errors", "tokens_in", "tokens_out"])) sum[name] += row[name];
    for (const [currency, amount] of Object.entries(row.money))
      sum.money[currency] = (sum.money[currency] ?? 0) + amount;
  }
  const dearest = [...sums.values()].sort((one, other) => cost(other) - cost(one) || other.requests - one.requests);
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
  return h(
    "tr",
    {},
    h("td", {}, row.caller || (() => t("noToken"))),
    h("td", {}, row.chat || "–"),
    ...counts.map((count) => h("td", { class: "right", text: () => number(count) })),
    h("td", { class: "right", text: () => amounts(row.money) }),
  );
}

/** @param {Record<string, number>} sums by currency */
export const amounts = (sums) =>
  Object.entries(sums)
    .map(([currency, amount]) => `${number(amount, 2)} ${currency}`)
    .join(t("comma"));

/** @param {Row} row */
const cost = (row) => Object.values(row.money).reduce((sum, amount) => sum + amount, 0);
