// Owns the view Ask: which chats are asked, and the conversation with them.

import { Answer } from "./answer.js";
import { AskOptions } from "./ask_options.js";
import { save } from "./comparison.js";
import { button, h } from "./dom.js";
import { greeting } from "./greeting.js";
import { pick, picks } from "./picks.js";
import { asks } from "./prompts.js";
import { listen, may, model, store } from "./store.js";
import { stateWords, t } from "./words.js";

/** @import { Message } from "./chat.js" */
/** @import { Turn } from "./comparison.js" */
/** @import { Chat } from "./store.js" */
/** @typedef {{ box: HTMLInputElement, state: HTMLElement, about: HTMLElement, element: HTMLElement }} Chip */

const AT_FIRST = 4;

/** The view; it asks nothing before somebody does. */
export function askView() {
  return new Ask().element;
}

class Ask {
  /** @type {Turn[]} */
  turns = [];
  /** @type {Map<string, Chip>} */
  chips = new Map();
  /** Which words stand first. */
  greeting = "";

  choice = h("div", { class: "chips" });
  hello = h("div", { class: "hello" });
  talk = h("div", { class: "talk" });
  status = h("p", { class: "status", role: "status" });
  question = h("textarea", {
    id: "question",
    rows: 2,
    "aria-label": () => t("question"),
    placeholder: () => t("questionHint"),
    onkeydown: (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.send();
    },
    oninput: () => this.refresh(),
  });
  options = new AskOptions(() => this.refresh());
  sender = button(
    () => t("askThem"),
    () => this.send(),
    "primary",
  );
  stopper = button(
    () => t("stopAll"),
    () => this.stop(),
  );
  again = button(
    () => t("askAgain"),
    () => this.repeat(),
    "quiet",
  );
  exporter = button(
    () => t("export"),
    () => save(this.turns),
    "quiet",
  );
  newer = button(
    () => t("newTalk"),
    () => this.clear(),
    "quiet",
  );
  element = h(
    "section",
    { class: "ask", "aria-labelledby": "ask-title" },
    h("h1", { id: "ask-title", class: "away" }, () => t("ask")),
    h(
      "fieldset",
      { class: "choice" },
      h("legend", {}, () => t("whom")),
      this.choice,
    ),
    this.hello,
    this.talk,
    h(
      "div",
      { class: "composer" },
      this.options.element,
      this.question,
      h("div", { class: "row" }, this.sender, this.stopper, this.again, this.newer, this.exporter, this.status),
    ),
  );

  constructor() {
    this.sender.title = "Ctrl+Enter";
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !document.querySelector("dialog[open]")) this.stop();
    });
    this.refresh();
    listen(() => this.update());
  }

  // Which chats.

  update() {
    /** @type {{ off: string[] } | null} */
    const kept = JSON.parse(sessionStorage.getItem("chosen") ?? "null");
    const first = store.models.filter((row) => row.state !== "need_key").slice(0, AT_FIRST);
    for (const [name, chip] of this.chips) {
      if (!model(name)) {
        chip.element.remove();
        this.chips.delete(name);
      }
    }
    for (const row of store.models) {
      if (!this.chips.has(row.chat_name)) {
        const known = kept ? kept.off.includes(row.chat_name) === false : first.includes(row);
        this.chips.set(row.chat_name, this.chip(row.chat_name, known));
      }
      this.label(row);
    }
    this.choice.append(
      ...store.models
        .flatMap((row) => this.chips.get(row.chat_name)?.element ?? [])
        .filter((chip, at) => this.choice.children[at] !== chip),
    );
    this.element.classList.toggle("none", store.models.length === 0);
    this.greet();
    this.refresh();
  }

  /** @type {(name: string, checked: boolean) => Chip} */
  chip(name, checked) {
    const box = h("input", { type: "checkbox", checked, onchange: () => this.choose() });
    const state = h("span", { class: "dot" });
    const about = h("small");
    return { box, state, about, element: h("label", { class: "chip" }, box, state, h("span", {}, name), about) };
  }

  /** @param {Chat} row */
  label(row) {
    const chip = this.chips.get(row.chat_name);
    if (!chip) return;
    const { state, about, element } = chip;
    const best = picks(row.chat_name);
    state.className = `dot ${row.state}`;
    about.textContent = [row.state === "answering" ? "" : stateWords(row), best ? `★ ${best}` : ""]
      .filter(Boolean)
      .join(" · ");
    element.title = [row.provider, row.model_name, stateWords(row)].filter(Boolean).join(" · ");
  }

  choose() {
    const off = [...this.chips].filter(([, chip]) => !chip.box.checked).map(([name]) => name);
    sessionStorage.setItem("chosen", JSON.stringify({ off }));
    this.refresh();
  }

  get chosen() {
    return [...this.chips]
      .filter(([, chip]) => chip.box.checked)
      .map(([name]) => name)
      .sort();
  }

  /** What to do first, where there is nothing to ask or nothing to compare. */
  greet() {
    const kind = this.turns.length || store.models.length > 1 ? "" : `${store.models.length}${may("admin")}`;
    if (this.greeting === kind) return;
    this.greeting = kind;
    this.hello.replaceChildren(...greeting(kind));
  }

  // The conversation.

  get busy() {
    return this.turns.some((turn) => turn.answers.some((answer) => answer.busy));
  }

  refresh() {
    const { busy, turns, chosen } = this;
    this.options.show(chosen);
    const complete = this.question.value.trim() !== "" || (chosen.length > 0 && !this.takesContent(chosen));
    this.sender.disabled = busy || chosen.length === 0 || !complete || !this.options.valid;
    this.stopper.hidden = !busy;
    for (const tool of [this.again, this.exporter, this.newer]) tool.hidden = turns.length === 0 || busy;
    this.again.disabled = chosen.length === 0;
    if (chosen.length === 0 && store.models.length) this.tell(() => t("chooseOne"));
    else if (busy) this.tell(() => this.progress());
    else this.tell(() => t(turns.length ? "allDone" : "keys"));
  }

  /**
   * Whether any of these chats takes a question; a task may have other variables only.
   * @param {string[]} chats
   */
  takesContent(chats) {
    return chats.some((chat) => asks(model(chat)).includes("content"));
  }

  progress() {
    const answers = this.turns.at(-1)?.answers ?? [];
    return t("progress", { done: answers.filter((answer) => !answer.busy).length, all: answers.length });
  }

  /**
   * Said once: a screen reader would read the same words again.
   * @param {() => string} words
   */
  tell(words) {
    if (this.status.textContent !== words()) this.status.replaceChildren(h("span", { text: words }));
  }

  send() {
    const question = this.question.value.trim();
    if (this.sender.disabled) return;
    this.question.value = "";
    this.add(question);
  }

  /** The same question once more, to the chats that are chosen now, as if it had not been asked before. */
  repeat() {
    const last = this.turns.at(-1);
    if (!last) return;
    last.replaced = true;
    last.element.classList.add("replaced");
    this.add(last.question);
  }

  /** @param {string} question */
  add(question) {
    const grid = h("div", { class: "answers" });
    const element = h("section", { class: "turn" }, h("h2", { class: "question" }, question || "–"), grid);
    /** @type {Turn} */
    const turn = { question, answers: [], replaced: false, best: null, at: new Date(), element };
    turn.answers = this.chosen.map(
      (chat) =>
        new Answer(
          chat,
          this.options.question(chat, question, this.history(chat)),
          () => this.refresh(),
          (answer) => this.pick(turn, answer),
        ),
    );
    grid.append(...turn.answers.map((answer) => answer.element));
    this.turns.push(turn);
    this.talk.append(element);
    this.greet();
    this.refresh();
    // On a phone the keyboard would cover the answers.
    if (matchMedia("(hover: hover)").matches) this.question.focus();
    element.scrollIntoView({ block: "start" });
  }

  /**
   * What this chat was asked and said so far; what it did not answer, it is not told of.
   * @param {string} chat
   * @returns {Message[]}
   */
  history(chat) {
    const kept = this.turns
      .filter((turn) => !turn.replaced)
      .flatMap((turn) => turn.answers.map((answer) => ({ turn, answer })));
    return kept
      .filter(({ answer }) => answer.chat === chat && answer.text)
      .flatMap(({ turn, answer }) => [
        { role: "user", content: turn.question },
        { role: "assistant", content: answer.words },
      ]);
  }

  stop() {
    for (const turn of this.turns) for (const answer of turn.answers) if (answer.busy) answer.stop();
  }

  clear() {
    this.turns = [];
    this.talk.replaceChildren();
    this.greet();
    this.refresh();
    this.question.focus();
  }

  /**
   * @param {Turn} turn
   * @param {Answer} answer
   */
  pick(turn, answer) {
    if (turn.best) pick(turn.best.chat, -1);
    turn.best?.choose(false);
    turn.best = turn.best === answer ? null : answer;
    if (turn.best) pick(answer.chat, 1);
    turn.best?.choose(true);
    for (const row of store.models) this.label(row);
  }
}
