// Owns the view Ask: which chats are asked, the conversation with them, and its export.

import { Answer } from "./answer.js";
import { button, h } from "./dom.js";
import { quickStart } from "./deploy.js";
import { pick, picks } from "./picks.js";
import { listen, may, model, store } from "./store.js";
import { number, stateWords, t, time } from "./words.js";

const AT_FIRST = 4;

/** The view; it asks nothing before somebody does. */
export function askView() {
  return new Ask().element;
}

class Ask {
  constructor() {
    this.turns = [];
    this.chips = new Map();
    this.build();
    listen(() => this.update());
  }

  build() {
    this.choice = h("div", { class: "chips" });
    this.hello = h("div", { class: "hello" });
    this.talk = h("div", { class: "talk" });
    this.status = h("p", { class: "status", role: "status" });
    this.question = h("textarea", {
      id: "question",
      rows: 2,
      "aria-label": () => t("question"),
      placeholder: () => t("questionHint"),
      onkeydown: (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.send();
      },
      oninput: () => this.refresh(),
    });
    this.sender = button(
      () => t("askThem"),
      () => this.send(),
      "primary",
    );
    this.sender.title = "Ctrl+Enter";
    this.stopper = button(
      () => t("stopAll"),
      () => this.stop(),
    );
    this.again = button(
      () => t("askAgain"),
      () => this.repeat(),
      "quiet",
    );
    this.exporter = button(
      () => t("export"),
      () => this.save(),
      "quiet",
    );
    this.newer = button(
      () => t("newTalk"),
      () => this.clear(),
      "quiet",
    );
    this.element = h(
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
        this.question,
        h("div", { class: "row" }, this.sender, this.stopper, this.again, this.newer, this.exporter, this.status),
      ),
    );
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !document.querySelector("dialog[open]")) this.stop();
    });
    this.refresh();
  }

  // Which chats.

  update() {
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
        .map((row) => this.chips.get(row.chat_name).element)
        .filter((chip, at) => this.choice.children[at] !== chip),
    );
    this.element.classList.toggle("none", store.models.length === 0);
    this.greet();
    this.refresh();
  }

  chip(name, checked) {
    const box = h("input", { type: "checkbox", checked, onchange: () => this.choose() });
    const state = h("span", { class: "dot" });
    const about = h("small");
    return { box, state, about, element: h("label", { class: "chip" }, box, state, h("span", {}, name), about) };
  }

  label(row) {
    const { state, about, element } = this.chips.get(row.chat_name);
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
    const words = { "0true": "noneAdmin", "1true": "oneAdmin", "0false": "noneChat" }[kind];
    this.hello.replaceChildren();
    if (!words) return;
    this.hello.append(
      h("h2", {}, () => t(words, { chat: store.models[0]?.chat_name })),
      h("p", {}, () => t(`${words}More`)),
    );
    if (may("admin")) this.hello.append(quickStart());
  }

  // The conversation.

  get busy() {
    return this.turns.some((turn) => turn.answers.some((answer) => answer.busy));
  }

  refresh() {
    const { busy, turns, chosen } = this;
    this.sender.disabled = busy || chosen.length === 0 || this.question.value.trim() === "";
    this.stopper.hidden = !busy;
    for (const tool of [this.again, this.exporter, this.newer]) tool.hidden = turns.length === 0 || busy;
    this.again.disabled = chosen.length === 0;
    if (chosen.length === 0 && store.models.length) this.tell(() => t("chooseOne"));
    else if (busy) this.tell(() => this.progress());
    else this.tell(() => t(turns.length ? "allDone" : "keys"));
  }

  progress() {
    const { answers } = this.turns.at(-1);
    return t("progress", { done: answers.filter((answer) => !answer.busy).length, all: answers.length });
  }

  /** Said once: a screen reader would read the same words again. */
  tell(words) {
    if (this.status.textContent !== words()) this.status.replaceChildren(h("span", { text: words }));
  }

  send() {
    const question = this.question.value.trim();
    if (this.sender.disabled || !question) return;
    this.question.value = "";
    this.add(question);
  }

  /** The same question once more, to the chats that are chosen now, as if it had not been asked before. */
  repeat() {
    const last = this.turns.at(-1);
    last.replaced = true;
    last.element.classList.add("replaced");
    this.add(last.question);
  }

  add(question) {
    const turn = { question, answers: [], replaced: false, best: null, at: new Date() };
    turn.answers = this.chosen.map(
      (chat) =>
        new Answer(
          chat,
          [...this.history(chat), { role: "user", content: question }],
          () => this.refresh(),
          (answer) => this.pick(turn, answer),
        ),
    );
    const grid = h(
      "div",
      { class: "answers" },
      turn.answers.map((answer) => answer.element),
    );
    turn.element = h("section", { class: "turn" }, h("h2", { class: "question" }, question), grid);
    this.turns.push(turn);
    this.talk.append(turn.element);
    this.greet();
    this.refresh();
    // On a phone the keyboard would cover the answers.
    if (matchMedia("(hover: hover)").matches) this.question.focus();
    turn.element.scrollIntoView({ block: "start" });
  }

  /** What this chat was asked and said so far; what it did not answer, it is not told of. */
  history(chat) {
    const kept = this.turns
      .filter((turn) => !turn.replaced)
      .flatMap((turn) => turn.answers.map((answer) => ({ turn, answer })));
    return kept
      .filter(({ answer }) => answer.chat === chat && answer.text)
      .flatMap(({ turn, answer }) => [
        { role: "user", content: turn.question },
        { role: "assistant", content: answer.text },
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

  pick(turn, answer) {
    if (turn.best) pick(turn.best.chat, -1);
    turn.best?.choose(false);
    turn.best = turn.best === answer ? null : answer;
    if (turn.best) pick(answer.chat, 1);
    turn.best?.choose(true);
    for (const row of store.models) this.label(row);
  }

  // Its export.

  save() {
    const file = new Blob([this.markdown()], { type: "text/markdown" });
    const link = h("a", {
      href: URL.createObjectURL(file),
      download: `comparison-${new Date().toISOString().slice(0, 10)}.md`,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  markdown() {
    const lines = [`# ${t("comparison")}`];
    for (const turn of this.turns) {
      lines.push(`## ${turn.question.replace(/\s*\n\s*/g, " ")}`, `_${time(turn.at)}_`);
      for (const answer of turn.answers) {
        const spent = [
          `${number(answer.seconds, 1)} s`,
          answer.tokens === null ? "" : t("tokens", { count: answer.tokens }),
        ];
        const by = answer.told.fellBack ? t("fellBack", { chat: answer.told.servedBy, why: answer.told.fellBack }) : "";
        const about = [answer.by.textContent, ...spent, by, answer.best ? `★ ${t("best")}` : ""]
          .filter(Boolean)
          .join(" · ");
        lines.push(
          `### ${answer.chat}`,
          `_${about}_`,
          answer.text || `**${answer.error?.code ?? t("wasStopped")}** ${answer.error?.words() ?? ""}`,
        );
      }
    }
    return `${lines.join("\n\n")}\n`;
  }
}
