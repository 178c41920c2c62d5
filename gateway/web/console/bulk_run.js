// Owns a run of Bulk: several rows are asked at once, each answer is kept before the next row begins.

import { aborted, Failure } from "./api.js";
import { forgetJob, RowAsker, rules, Stopped } from "./bulk_gateway.js";
import { keepAnswer, keepPlan } from "./bulk_store.js";

/** @import { Answer, Fields } from "./bulk_gateway.js" */
/** @import { Plan } from "./bulk_store.js" */

const HEARTBEAT = "bulk-runs";
const BEAT = 1000;
const DEAD = 4000;

/**
 * Whether another tab of this browser runs one.
 * @param {string} tab this tab's own run
 */
export function runsElsewhere(tab = "") {
  const [other, at] = (localStorage.getItem(HEARTBEAT) ?? "").split(" ");
  return Boolean(other) && other !== tab && Date.now() - Number(at) < DEAD;
}

/** `changed` is called when there is something new to show. */
export class Run {
  /** @type {Map<number, Answer>} */
  answers;
  /** @type {Failure | null} */
  stopped = null;
  waiting = "";
  running = false;
  /** @type {Set<number>} rows that had an error, and are asked again */
  repeated = new Set();
  /** Whether this browser keeps nothing: a private window, or no room. */
  unkept = false;
  /** @type {AbortController | null} */
  controller = null;
  tab = Math.random().toString(36).slice(2);
  /** Rows that were answered since it went on, and when that was. */
  fresh = 0;
  began = 0;

  /**
   * @param {Plan} plan
   * @param {Map<number, Answer>} answers
   * @param {() => void} changed
   */
  constructor(plan, answers, changed) {
    this.plan = plan;
    this.answers = answers;
    this.changed = changed;
  }

  get total() {
    return this.plan.table.rows.length;
  }

  get done() {
    return this.answers.size;
  }

  get failed() {
    return [...this.answers].filter(([, answer]) => answer.error).map(([row]) => row);
  }

  /** How long it has run, in seconds, in all tabs. */
  get seconds() {
    return this.plan.seconds + (this.running ? (Date.now() - this.began) / 1000 : 0);
  }

  /** Whether another tab of this browser runs it; nothing would be paid twice, but both would draw. */
  get elsewhere() {
    return runsElsewhere(this.tab);
  }

  /**
   * Ask the rows that have no answer, up to `until`. Resolves when it has ended, however.
   * @param {number} until
   */
  async start(until = this.total) {
    if (this.running || this.elsewhere) return;
    this.controller = new AbortController();
    const { signal } = this.controller;
    Object.assign(this, { running: true, stopped: null, began: Date.now(), fresh: 0, waiting: "" });
    const beat = () => localStorage.setItem(HEARTBEAT, `${this.tab} ${Date.now()}`);
    beat();
    const heart = setInterval(beat, BEAT);
    const end = () => localStorage.removeItem(HEARTBEAT);
    addEventListener("pagehide", end);
    this.changed();
    try {
      const asker = new RowAsker(await rules(), signal, (words) => {
        this.waiting = signal.aborted ? "" : words;
        this.changed();
      });
      const left = this.left(until);
      const askNext = async () => {
        for (let row = left.next(); !row.done && !signal.aborted; row = left.next()) {
          await this.ask(asker, row.value);
          beat(); // a browser lets the clocks of hidden tabs go slowly
        }
      };
      await Promise.all(Array.from({ length: this.plan.atOnce }, askNext));
    } catch (error) {
      if (error instanceof Stopped) this.stopped = error.failure;
      else if (error instanceof Failure) this.stopped = error;
      else if (!aborted(error)) throw error;
    } finally {
      this.controller.abort();
      clearInterval(heart);
      removeEventListener("pagehide", end);
      end();
      this.plan.seconds = this.seconds;
      this.running = false;
      this.waiting = "";
      await keepPlan(this.plan).catch(() => null);
      this.changed();
    }
  }

  /**
   * The rows without an answer, in their order.
   * @param {number} until
   */
  *left(until) {
    for (let row = 0; row < until; row += 1) if (!this.answers.has(row)) yield row;
  }

  /**
   * @param {RowAsker} asker
   * @param {number} row
   */
  async ask(asker, row) {
    const question = this.question(row);
    const id = `bulk-${this.plan.id}-${row}`;
    const { names, fields } = this.plan;
    if (this.repeated.delete(row)) await forgetJob(id); // else its error may be what is kept
    const answer = question
      ? await asker.ask(question, id, names, fields)
      : { texts: names.map(() => ""), error: "", tokensIn: 0, tokensOut: 0 };
    this.answers.set(row, answer);
    try {
      await keepAnswer(row, answer);
    } catch {
      this.unkept = true;
    }
    this.fresh += 1;
    this.changed();
    if (question && !answer.error && !this.unkept) await forgetJob(id);
  }

  /**
   * What is asked about a row; null: there is nothing in it to ask.
   * @param {number} row
   * @returns {Fields | null}
   */
  question(row) {
    const { chat, places, structure, table } = this.plan;
    const values = Object.entries(places).map(([name, place]) => [name, table.rows[row][place] ?? ""]);
    if (values.every(([, value]) => value.trim() === "")) return null;
    return { chat_name: chat, ...Object.fromEntries(values), ...structure };
  }

  /** What is under way is asked for again, and answered from what the gateway keeps, when it goes on. */
  pause() {
    this.controller?.abort();
  }

  /** Ask the rows with an error again. */
  async again() {
    this.repeated = new Set(this.failed);
    for (const row of this.failed) this.answers.delete(row);
    await this.start();
  }
}
