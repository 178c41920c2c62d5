// Owns the view Run: a card for each chat, kept up to date, and what can be done with it.

import { behind, editChain, undeploy, undo } from "./actions.js";
import { deploy, firstDeploy } from "./deploy.js";
import { button, h } from "./dom.js";
import { Past } from "./past.js";
import { plot } from "./plot.js";
import { listen, model, store } from "./store.js";
import { deployTask } from "./task.js";
import { left, spent } from "./terms.js";
import { ago, reason, stateWords, t, time } from "./words.js";

/** @import { Key } from "./words.js" */
/** @import { Chat } from "./store.js" */
/** @import { Words } from "./dom.js" */

export function runView() {
  /** @type {Map<string, Card>} */
  const cards = new Map();
  const list = h("div", { class: "cards" });
  const empty = h("div");
  const opener = button(
    () => t("deployA"),
    () => deploy(),
    "primary",
  );
  const tasks = button(
    () => t("deployTask"),
    () => deployTask(),
  );
  const openers = h("div", { class: "row" }, tasks, opener);
  const element = h(
    "section",
    { class: "run", "aria-labelledby": "run-title" },
    h(
      "div",
      { class: "row spread" },
      h("h1", { id: "run-title" }, () => t("run")),
      openers,
    ),
    empty,
    list,
  );

  function update() {
    for (const [name, card] of cards) {
      if (!model(name)) {
        card.element.remove();
        cards.delete(name);
      }
    }
    store.models.forEach((row, at) => {
      let card = cards.get(row.chat_name);
      if (!card) {
        card = new Card(row.chat_name);
        card.showPast(past.shown(row.chat_name));
        cards.set(row.chat_name, card);
      }
      card.show(row);
      if (list.children[at] !== card.element) list.insertBefore(card.element, list.children[at] ?? null);
    });
    openers.hidden = store.models.length === 0;
    if (store.models.length) empty.replaceChildren();
    else if (!empty.hasChildNodes()) empty.append(firstDeploy());
  }

  const past = new Past(element, () => {
    for (const [name, card] of cards) card.showPast(past.shown(name));
  });
  listen(update);
  return element;
}

/** One chat. What changes is drawn anew; its buttons stay, so that the focus does. */
class Card {
  /** @param {string} name */
  constructor(name) {
    /** @type {(words: Key, does: (row: Chat) => void, kind?: string) => HTMLElement} */
    const act = (words, does, kind = "") =>
      button(
        () => t(words),
        () => {
          const row = model(name);
          if (row) does(row);
        },
        kind,
      );
    this.state = h("span", { class: "state" });
    this.facts = h("dl");
    this.trouble = h("div");
    this.plot = h("div");
    this.past = h("div", { class: "past" });
    // Not for a task: it has no model, and its chain is that of the chat that answers it.
    this.chats = [act("switch…", deploy), act("chain…", editChain)];
    this.task = act("taskChange…", deployTask);
    const [change, chain] = this.chats;
    const heading = h("h2", { id: `card-${name}` }, name);
    this.element = h(
      "article",
      { class: "card", "aria-labelledby": heading.id },
      h("header", {}, heading, this.state),
      this.trouble,
      this.facts,
      this.plot,
      this.past,
      h(
        "footer",
        {},
        change,
        this.task,
        act("undo…", undo),
        chain,
        act("undeploy…", undeploy, "quiet danger"),
      ),
    );
  }

  /** @param {HTMLElement[]} shown what the ledger knows */
  showPast(shown) {
    this.past.replaceChildren(...shown);
  }

  /** @param {Chat} row */
  show(row) {
    this.state.replaceChildren(h("span", { class: `dot ${row.state}` }), h("span", { text: () => stateWords(row) }));
    this.trouble.replaceChildren(...trouble(row));
    this.facts.replaceChildren(...facts(row));
    this.plot.replaceChildren(plot(row.chat_name));
    this.element.dataset.state = row.state;
    for (const one of this.chats) one.hidden = Boolean(row.task);
    this.task.hidden = !row.task;
  }
}

/** @param {Chat} row */
function trouble(row) {
  if (row.state === "need_key") return [h("p", { class: "note bad" }, () => t("needKeyMore"))];
  if (row.state !== "resting" || !row.resting) return [];
  const { code, since, until } = row.resting;
  const words = () => t("restingMore", { code, why: reason(code), since: ago(since) });
  const next = () =>
    until * 1000 > Date.now() ? t("triedAgain", { seconds: Math.ceil(until - Date.now() / 1000) }) : t("triedNext");
  return [h("p", { class: "note warn", title: time(since * 1000) }, words, () => t("gap"), next)];
}

/** @param {Chat} row */
function facts(row) {
  const { since } = row;
  /** @type {(words: Key, value: Words, kind?: string) => HTMLElement[]} */
  const fact = (words, value, kind = "") => [h("dt", {}, () => t(words)), h("dd", { class: kind }, value)];
  return [
    ...fact("behind", () => behind(row), "long"),
    ...(row.host ? fact("host", row.host) : []),
    ...fact("replicas", String(row.replicas)),
    ...fact("inFlight", String(row.in_flight ?? "–")),
    ...fact("chain", row.fallback.length ? row.fallback.join(" → ") : () => t("nobody")),
    ...(row.budget ? fact("budget", () => spent(row)) : []),
    ...(row.balance ? fact("balance", () => left(row)) : []),
    ...(since ? fact("since", () => ago(Date.parse(since) / 1000)) : []),
  ];
}
