// Owns the rows of Bulk that are seen: some of them at a time, with their answers, however many there are.

import { button, h, tick } from "./dom.js";
import { number, t } from "./words.js";

/** @import { Run } from "./bulk_run.js" */

const AT_ONCE = 25;
/** A cell may be as long as a book. */
const LONGEST = 200;

/** @param {string} text */
const short = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);

/**
 * The first rows of a table, before anything is asked.
 * @param {string[]} columns
 * @param {string[][]} rows
 */
export const preview = (columns, rows) =>
  h(
    "div",
    { class: "wide", tabIndex: 0, role: "region", "aria-label": () => t("firstRows") },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, short(name))))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, short(cell)))))),
    ),
  );

/** The rows of a run, a page at a time. What is on the page is kept up to date; the rest costs nothing. */
export class RowPages {
  page = 0;
  /** @type {string} what is drawn, so that only what changed is drawn anew */
  drawn = "";
  body = h("tbody");
  where = h("span", { class: "hint", role: "status" });
  onlyErrors = h("input", { type: "checkbox", onchange: () => this.go(0) });
  earlier = button(
    () => t("earlierRows"),
    () => this.go(this.page - 1),
  );
  later = button(
    () => t("laterRows"),
    () => this.go(this.page + 1),
  );
  element;

  /** @param {Run} run */
  constructor(run) {
    this.run = run;
    const { columns } = run.plan.table;
    const heads = [() => t("row"), ...columns.map(short), ...run.plan.names, () => t("error")];
    this.element = h(
      "section",
      { class: "rows", "aria-label": () => t("rows") },
      h("div", { class: "row spread" }, tick(() => t("onlyErrors"), this.onlyErrors), h("div", { class: "row" }, this.where, this.earlier, this.later)),
      h(
        "div",
        { class: "wide", tabIndex: 0, role: "region", "aria-label": () => t("rows") },
        h("table", {}, h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))), this.body),
      ),
    );
    this.draw();
  }

  /** @param {number} page */
  go(page) {
    this.page = page;
    this.draw();
  }

  draw() {
    const { run } = this;
    const errors = this.onlyErrors.checked ? run.failed.sort((one, other) => one - other) : null;
    const count = errors ? errors.length : run.total;
    const last = Math.max(0, Math.ceil(count / AT_ONCE) - 1);
    this.page = Math.min(Math.max(this.page, 0), last);
    const first = this.page * AT_ONCE;
    const rows = Array.from({ length: Math.min(AT_ONCE, count - first) }, (_, at) => (errors ? errors[first + at] : first + at));
    this.earlier.toggleAttribute("disabled", this.page === 0);
    this.later.toggleAttribute("disabled", this.page === last);
    const where = t("rowsShown", { first: number(count ? first + 1 : 0), last: number(first + rows.length), count: number(count) });
    if (this.where.textContent !== where) this.where.textContent = where;
    const drawn = rows.map((row) => `${row}${run.answers.has(row)}${run.answers.get(row)?.error ?? ""}`).join();
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.body.replaceChildren(...rows.map((row) => this.line(row)));
  }

  /** @param {number} row */
  line(row) {
    const { plan, answers } = this.run;
    const answer = answers.get(row);
    const texts = plan.names.map((_, at) => answer?.texts[at] ?? "");
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, String(row + 1)),
      ...plan.table.rows[row].map((cell) => h("td", {}, short(cell))),
      ...texts.map((text) => h("td", { class: answer ? "answered" : "" }, short(text))),
      h("td", { class: answer?.error ? "wrong" : "" }, short(answer?.error ?? "")),
    );
  }
}
