// Owns one answer: asks one chat, shows its words as they come, and what became of it.

import { ask, Failure } from "./api.js";
import { button, copyButton, failure, h } from "./dom.js";
import { rendered } from "./markdown.js";
import { may, model } from "./store.js";
import { number, reason, t } from "./words.js";

const RENDER_EVERY = 700;
const CLOCK_EVERY = 100;

const OPERATOR = new Set(["PAY_BILL", "BAD_KEY", "NO_SUCH_MODEL", "BAD_UPSTREAM_REQUEST", "NEED_KEY", "NOT_DEPLOYED"]);
const toRun = () =>
  h(
    "p",
    {},
    h("a", { href: "#run" }, () => t("toRun")),
  );

let made = 0;

/**
 * `messages` is the conversation with this chat, the question last; `ended` is called once, `picked` when it is chosen.
 * `state` is asking, speaking, done, stopped or failed; `seconds` and `tokens` are what it took.
 */
export class Answer {
  constructor(chat, messages, ended, picked) {
    Object.assign(this, { chat, messages, ended, picked });
    Object.assign(this, { text: "", state: "asking", tokens: null, error: null, told: {}, best: false });
    this.shown = 0;
    this.build();
    this.start();
  }

  build() {
    const heading = h("h3", { id: `answer-${++made}` }, this.chat);
    this.by = h("p", { class: "by long" }, model(this.chat)?.model_name ?? "");
    this.body = h("div", { class: "text", "aria-busy": "true" });
    this.tail = h("div", { class: "plain" });
    this.spent = h("span", { class: "spent" });
    this.stopper = button(
      () => t("stop"),
      () => this.stop(),
      "quiet",
    );
    this.copier = copyButton(() => this.text, { copy: () => t("copy"), copied: () => t("copied") });
    this.picker = button(
      () => `${this.best ? "★" : "☆"} ${t("best")}`,
      () => this.picked(this),
      "quiet pick",
    );
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
  }

  async start() {
    this.began = performance.now();
    this.controller = new AbortController();
    const clock = setInterval(() => this.count(), CLOCK_EVERY);
    try {
      const said = await ask(
        this.chat,
        this.messages,
        this.controller.signal,
        (told) => this.begun(told),
        (words) => this.speak(words),
      );
      this.tokens = said.usage?.completion_tokens ?? null;
      this.estimated = Boolean(said.usage?.estimated);
      this.state = "done";
    } catch (error) {
      this.state = error.name === "AbortError" ? "stopped" : "failed";
      this.error = error instanceof Failure ? error : null;
      if (this.state === "failed" && !this.error) console.error(error);
    }
    clearInterval(clock);
    this.seconds = (performance.now() - this.began) / 1000;
    await this.finish();
  }

  stop() {
    this.controller.abort();
  }

  get busy() {
    return this.state === "asking" || this.state === "speaking";
  }

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
    this.ended(this);
    if (this.text) this.body.replaceChildren(...(await rendered(this.text)));
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

  choose(best) {
    this.best = best;
    this.element.classList.toggle("best", best);
    this.picker.setAttribute("aria-pressed", String(best));
    this.picker.firstChild.textContent = `${best ? "★" : "☆"} ${t("best")}`;
  }
}
