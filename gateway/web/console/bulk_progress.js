// Owns how a run of Bulk is shown: how far it is, what it took, its rows, and what can be done with it.

import { getBlob } from "./api.js";
import { actionDialog } from "./actions.js";
import { RowPages } from "./bulk_rows.js";
import { Run } from "./bulk_run.js";
import { load } from "./bulk_store.js";
import { showCode } from "./code.js";
import { button, download, failure, h } from "./dom.js";
import { model } from "./store.js";
import { lasting, number, t } from "./words.js";

/** @import { Answer } from "./bulk_gateway.js" */
/** @import { Plan } from "./bulk_store.js" */

const REDRAW = 250;
const LOOK = 1000;

export class RunView {
  drawing = 0;
  looking = 0;
  progress = h("progress", { "aria-label": () => t("bulk") });
  words = h("p", { class: "hint" });
  state = h("p", { role: "status" });
  trouble = h("div", { class: "result" });
  unkept = h("p", { class: "note warn" }, () => t("keepsNothing"));

  /**
   * @param {Plan} plan
   * @param {Map<number, Answer>} answers
   * @param {(error: unknown) => void} tell
   * @param {() => void} remove
   */
  constructor(plan, answers, tell, remove) {
    this.run = new Run(plan, answers, () => this.changed());
    this.tell = tell;
    this.rows = new RowPages(this.run);
    this.pauser = button(
      () => t("pause"),
      () => this.run.pause(),
    );
    this.starter = button(
      () => t("goOn"),
      () => this.run.start(),
      "primary",
    );
    this.repeater = button(
      () => t("askErrors"),
      () => this.run.again(),
    );
    this.saver = button(
      () => t("download"),
      () => this.save(),
      "primary",
    );
    this.remover = button(
      () => t("removeTable"),
      () => askToRemove(plan.name, this.run, remove),
      "quiet",
    );
    this.element = h(
      "div",
      { class: "bulk-run" },
      h("p", {}, h("strong", {}, plan.name), " → ", h("strong", {}, plan.chat)),
      this.progress,
      this.state,
      this.words,
      this.unkept,
      this.trouble,
      h(
        "div",
        { class: "row" },
        this.pauser,
        this.starter,
        this.saver,
        this.repeater,
        button(
          () => t("fromProgram"),
          () => showCode(plan.chat),
        ),
        this.remover,
      ),
      this.rows.element,
    );
    this.draw();
  }

  /** Draw soon: many rows may be answered in a moment. */
  changed() {
    this.drawing ||= setTimeout(() => {
      this.drawing = 0;
      this.draw();
    }, REDRAW);
  }

  draw() {
    const { run } = this;
    const whole = run.done === run.total;
    Object.assign(this.progress, { max: run.total || 1, value: run.done });
    this.pauser.hidden = !run.running;
    const busy = run.running || run.elsewhere;
    this.starter.hidden = busy || whole;
    this.repeater.hidden = busy || run.failed.length === 0;
    this.saver.hidden = run.done === 0;
    this.saver.classList.toggle("primary", whole);
    this.remover.hidden = busy;
    this.say(this.state, this.stateWords());
    this.say(this.words, this.took());
    const { stopped } = run;
    this.unkept.hidden = !run.unkept;
    if (!stopped) this.trouble.replaceChildren();
    else if (!this.trouble.hasChildNodes()) this.trouble.append(failure(stopped));
    this.rows.draw();
    if (run.elsewhere) this.lookAgain();
  }

  /** What another tab has answered is there when that has ended. */
  lookAgain() {
    this.looking ||= setTimeout(async () => {
      this.looking = 0;
      if (!this.run.elsewhere) this.run.answers = (await load().catch(() => null))?.answers ?? this.run.answers;
      this.draw();
    }, LOOK);
  }

  /**
   * Said once: a screen reader would read the same words again.
   * @param {HTMLElement} element
   * @param {string} words
   */
  say(element, words) {
    if (element.textContent !== words) element.textContent = words;
  }

  stateWords() {
    const { run } = this;
    const values = { done: number(run.done), all: number(run.total) };
    if (run.waiting) return run.waiting;
    if (run.running) return t("rowsRunning", { ...values, left: this.leftWords() });
    if (run.done === run.total) return t(run.failed.length ? "rowsDoneErrors" : "rowsDone", { ...values, errors: number(run.failed.length) });
    if (run.elsewhere) return t("rowsElsewhere", values);
    return t(run.stopped ? "rowsStopped" : "rowsPaused", values);
  }

  leftWords() {
    const { run } = this;
    const seconds = (Date.now() - run.began) / 1000;
    if (run.fresh < 3) return t("leftUnknown");
    const rate = run.fresh / seconds;
    return t("leftWords", { rate: number(rate * 60), time: lasting((run.total - run.done) / rate) });
  }

  /** What it took so far: time, tokens, money. */
  took() {
    const { run } = this;
    let [into, out] = [0, 0];
    for (const answer of run.answers.values()) {
      into += answer.tokensIn;
      out += answer.tokensOut;
    }
    const row = model(run.plan.chat);
    const price = row?.price ?? (row?.task ? model(row.task.through)?.price : null);
    const parts = [lasting(run.seconds), t("tokens", { count: number(into + out) })];
    if (price) parts.push(`${number((into * price.in + out * price.out) / 1e6, 2)} ${price.currency}`);
    if (run.failed.length) parts.push(t("errorsInDays", { count: run.failed.length, shown: number(run.failed.length) }));
    return run.done ? parts.join(t("comma")) : "";
  }

  async save() {
    const { plan, answers, total } = this.run;
    const rows = Array.from({ length: total }, (_, row) => {
      const answer = answers.get(row);
      return answer ? [...plan.names.map((_name, at) => answer.texts[at] ?? ""), answer.error] : null;
    });
    const { name, file, header, charset, delimiter, names } = plan;
    try {
      const contents = await getBlob("console/answered_table", { name, file, header, charset, delimiter, names, answers: rows });
      const dot = name.lastIndexOf(".");
      download(contents, dot > 0 ? `${name.slice(0, dot)}-${plan.chat}${name.slice(dot)}` : `${name}-${plan.chat}`);
    } catch (error) {
      this.tell(error);
    }
  }
}

/** @type {(name: string, run: Run, remove: () => void) => void} */
function askToRemove(name, run, remove) {
  if (run.done === 0) {
    remove();
    return;
  }
  actionDialog({
    title: () => t("removeTitle", { name }),
    what: () => t("removeWhat", { count: run.done, shown: number(run.done) }),
    verb: () => t("removeTable"),
    danger: true,
    send: async () => remove(),
    done: () => t("removed"),
  });
}
