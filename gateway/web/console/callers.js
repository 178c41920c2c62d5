// Owns the view Callers: who has a token, what it is for, and what was used of it. A token itself is never seen here.

import { Failure, get } from "./api.js";
import { button, failure, h } from "./dom.js";
import { limitsOf } from "./limits.js";
import { amounts } from "./usage.js";
import { number, t } from "./words.js";

/** @import { Caller } from "./limits.js" */
/** @import { Row } from "./usage.js" */

const COMMAND = "python -m gateway token NAME --chats 'shop_*' --limit 60/min --limit 50CNY/month";

export function callersView() {
  const cards = h("div", { class: "cards" });
  const lead = h("p", { class: "lead" });
  async function load() {
    try {
      const [{ callers }, usage] = /** @type {[{ callers: Caller[] }, Row[]]} */ (
        await Promise.all([get("callers"), thisMonth()])
      );
      lead.replaceChildren(h("span", { text: () => t(callers.length ? "callersLead" : "noCallers") }));
      cards.replaceChildren(...callers.map((caller) => card(caller, usage)));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      lead.replaceChildren(failure(error));
      cards.replaceChildren();
    }
  }
  const element = h(
    "section",
    { class: "callers", "aria-labelledby": "callers-title" },
    h(
      "div",
      { class: "row spread" },
      h("h1", { id: "callers-title" }, () => t("callers")),
      button(() => t("usageAgain"), load, "quiet"),
    ),
    lead,
    h("div", { class: "code" }, h("pre", { tabIndex: 0, "aria-label": () => t("howTokens") }, COMMAND)),
    cards,
  );
  addEventListener("hashchange", () => {
    if (location.hash === "#callers" && element.isConnected) load();
  });
  load();
  return element;
}

/** This month's usage by caller; nothing where no ledger is kept. */
async function thisMonth() {
  try {
    return /** @type {{ usage: Row[] }} */ (await get("usage?by=caller")).usage;
  } catch (error) {
    if (error instanceof Failure && error.code === "INVALID_REQUEST") return [];
    throw error;
  }
}

/**
 * @param {Caller} caller
 * @param {Row[]} usage
 */
function card(caller, usage) {
  const { name, scopes, chats, tokens } = caller;
  const row = usage.find((one) => one.caller === name);
  /** @type {(words: () => string, value: () => string) => HTMLElement[]} */
  const fact = (words, value) => [h("dt", {}, words), h("dd", {}, value)];
  const heading = h("h2", {}, name);
  return h(
    "article",
    { class: "card", "aria-label": name },
    h("header", {}, heading, tokens > 1 ? h("span", { class: "hint" }, () => t("tokensAlike", { count: tokens })) : null),
    h(
      "dl",
      {},
      ...fact(
        () => t("mayDo"),
        () => scopes.map((scope) => t(scope === "admin" ? "mayAdmin" : "mayChat")).join(t("comma")),
      ),
      ...fact(
        () => t("chats"),
        () => chats.join(t("comma")) || t("allChats"),
      ),
      ...fact(
        () => t("thisMonth"),
        () => (row ? usedWords(row) : t("nothing")),
      ),
    ),
    h("div", { class: "term" }, ...limitsOf(caller)),
  );
}

/** @param {Row} row */
function usedWords(row) {
  const parts = [
    t("requestsCount", { count: row.requests, shown: number(row.requests) }),
    t("tokens", { count: number(row.tokens_in + row.tokens_out) }),
    amounts(row.money),
  ];
  return parts.filter(Boolean).join(t("comma"));
}
