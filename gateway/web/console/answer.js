// Owns one answer: asks one chat, shows its words as they come, and what became of it.

import { aborted, Failure } from "./api.js";
import { replyBytes } from "./bytes.js";
import { ask, askForBytes, fieldsOf, plainFailure } from "./chat.js";
import { button, copyButton, failure, h } from "./dom.js";
import { rendered } from "./markdown.js";
import { isWords, structureOf } from "./prompts.js";
import { may, model } from "./store.js";
import { number, reason, t } from "./words.js";

/** @import { Question, Reply, Served } from "./chat.js" */

const RENDER_EVERY = 700;
const CLOCK_EVERY = 100;

const OPERATOR = new Set(["PAY_BILL", "BAD_KEY", "NO_SUCH_MODEL", "BAD_UPSTREAM_REQUEST", "NEED_KEY", "NOT_DEPLOYED", "OVER_BUDGET", "OVER_LIMIT"]);
const toRun = () =>
  h(
    "p",
    {},
    h("a", { href: "#run" }, () => t("toRun")),
  );

let made = 0;

/**
 * An answer in words comes piece by piece; one that must be of a form comes whole, and is shown as a program gets it.
 * `ended` is called once, `picked` when it is chosen. `seconds` and `tokens` are what it took.
 */
export class Answer {
  text = "";
  /** @type {"asking" | "speaking" | "done" | "stopped" | "failed"} */
  state = "asking";
  /** @type {number | null} */
  tokens = null;
  estimated = false;
  began = performance.now();
  seconds = 0;
  /** @type {Failure | null} */
  error = null;
  /** @type {Reply | null} */
  reply = null;
  /** @type {Partial<Served>} */
  told = {};
  best = false;
  shown = 0;
  rendering = false;
  controller = new AbortController();

  body = h("div", { class: "text", "aria-busy": "true" });
  tail = h("div", { class: "plain" });
  spent = h("span", { class: "spent" });
  stopper = button(
    () => t("stop"),
    () => this.stop(),
    "quiet",
  );
  copier = copyButton(() => this.text, { copy: () => t("copy"), copied: () => t("copied") });
  picker = button(
    () => `${this.best ? "★" : "☆"} ${t("best")}`,
    () => this.picked(this),
    "quiet pick",
  );

  /**
   * @param {string} chat
   * @param {Question} question
   * @param {() => void} ended
   * @param {(answer: Answer) => void} picked
   */
  constructor(chat, question, ended, picked) {
    this.chat = chat;
    this.question = question;
    this.ended = ended;
    this.picked = picked;
    const heading = h("h3", { id: `answer-${++made}` }, chat);
    this.by = h("p", { class: "by long" }, model(chat)?.model_name ?? "");
    this.picker.setAttribute("aria-pressed", "false");
    this.copier.hidden = this.picker.hidden = true;
    this.body.append(this.tail);
    this.element = h(
      "article",
      { class: "answer", "aria-labelledby": heading.id },
      h("header", {}, heading, this.by),
      this.body,
      h("footer", {}, this.spent, h("span", { class: "tools" }, this.stopper, this.copier, this.picker)),
    );
    this.start();
  }

  async start() {
    const clock = setInterval(() => this.count(), CLOCK_EVERY);
    try {
      if (isWords({ ...structureOf(model(this.chat)), ...this.question.structure })) await this.hear();
      else await this.read();
      this.state = "done";
    } catch (error) {
      this.state = aborted(error) ? "stopped" : "failed";
      this.error = error instanceof Failure ? error : null;
      if (this.state === "failed" && !this.error) console.error(error);
    }
    clearInterval(clock);
    this.seconds = (performance.now() - this.began) / 1000;
    await this.finish();
  }

  /** Have it told piece by piece. Throws what `ask` throws. */
  async hear() {
    const { usage } = await ask(
      this.chat,
      this.question,
      this.controller.signal,
      (told) => this.begun(told),
      (words) => this.speak(words),
    );
    this.tokens = usage?.completion_tokens ?? null;
    this.estimated = Boolean(usage?.estimated);
  }

  /** Have it whole. Throws what `askForBytes` throws. */
  async read() {
    const reply = await askForBytes(this.chat, fieldsOf(this.question), this.controller.signal);
    if (!reply.servedBy) throw plainFailure(reply.text);
    this.begun(reply);
    this.reply = reply;
    this.text = reply.text;
    this.tokens = reply.tokens;
  }

  /** What the model is told that it said: an answer's words, without the quotes that a program gets around them. */
  get words() {
    if (!this.reply?.type.startsWith("application/json")) return this.text;
    const words = JSON.parse(this.text);
    return typeof words === "string" ? words : this.text;
  }

  stop() {
    this.controller.abort();
  }

  get busy() {
    return this.state === "asking" || this.state === "speaking";
  }

  /** @param {Served} told */
  begun(told) {
    this.told = told;
    this.state = "speaking";
    const { servedBy, fellBack } = told;
    if (fellBack) {
      this.by.textContent = told.model;
      const words = () => t("fellBack", { chat: servedBy, why: reason(fellBack) });
      this.body.before(h("p", { class: "note warn" }, words));
    }
  }

  /** @param {string} words */
  speak(words) {
    this.text += words;
    this.tail.textContent = this.text.slice(this.shown);
    if (this.text.length < 30_000) this.renderSoon();
  }

  /** What is whole, up to the last blank line outside of code, is rendered while the rest is still plain. */
  async renderSoon() {
    if (this.rendering) return;
    const whole = this.text.lastIndexOf("\n\n", this.text.length - 1);
    if (whole <= this.shown || (this.text.slice(0, whole).match(/^ {0,3}(```|~~~)/gm) ?? []).length % 2) return;
    this.rendering = true;
    const nodes = await rendered(this.text.slice(0, whole));
    if (this.busy) {
      this.shown = whole;
      this.tail.textContent = this.text.slice(whole).trimStart();
      this.body.replaceChildren(...nodes, this.tail);
    }
    setTimeout(() => {
      this.rendering = false;
    }, RENDER_EVERY);
  }

  async finish() {
    this.count();
    this.stopper.hidden = true;
    this.copier.hidden = this.picker.hidden = !this.text;
    this.body.removeAttribute("aria-busy");
    this.element.classList.add(this.state);
    this.ended();
    if (this.reply) this.body.replaceChildren(replyBytes(this.reply));
    else if (this.text) this.body.replaceChildren(...(await rendered(this.text)));
    else this.body.replaceChildren(this.state === "done" ? h("p", { class: "hint" }, () => t("saidNothing")) : "");
    if (this.state === "stopped") this.body.append(h("p", { class: "hint" }, () => t("wasStopped")));
    if (this.error)
      this.body.append(failure(this.error), ...(may("admin") && OPERATOR.has(this.error.code) ? [toRun()] : []));
    this.element.dataset.state = this.state;
  }

  count() {
    const seconds = this.busy ? (performance.now() - this.began) / 1000 : this.seconds;
    this.spent.textContent = `${number(seconds, 1)} s`;
    if (this.tokens !== null) {
      this.spent.append(
        " · ",
        h("span", {}, () => `${this.estimated ? "≈ " : ""}${t("tokens", { count: this.tokens })}`),
      );
    }
  }

  /** @param {boolean} best */
  choose(best) {
    this.best = best;
    this.element.classList.toggle("best", best);
    this.picker.setAttribute("aria-pressed", String(best));
    this.picker.children[0].textContent = `${best ? "★" : "☆"} ${t("best")}`;
  }
}
