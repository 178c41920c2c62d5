// Owns how Bulk asks the gateway about a row, as python -m gateway bulk does: under an id, so that asking again is paid for
// once, and whatever passes by itself is waited for.

import { aborted, Failure, lost, retryAfter, send } from "./api.js";
import { plainFailure } from "./chat.js";
import { t } from "./words.js";

/** @typedef {{ texts: string[], error: string, tokensIn: number, tokensOut: number }} Answer of a row */
/** @typedef {{ [name: string]: unknown }} Fields */
/**
 * What an error of one row means for the others (gateway/row_errors.py).
 * @typedef {object} Rules
 * @property {string[]} waiting
 * @property {string[]} stopping
 * @property {string[]} suspect
 * @property {number} most_suspect
 * @property {number} tries
 * @property {number} wait_seconds
 * @property {number} unreachable_seconds
 * @property {number} patience_seconds
 * @property {number} retry_after_seconds
 */

/** Why a run ends before its last row. */
export class Stopped extends Error {
  /** @param {Failure} failure */
  constructor(failure) {
    super(failure.code);
    this.failure = failure;
  }
}

/** @type {Promise<Rules> | null} */
let loaded = null;

/** @returns {Promise<Rules>} */
export function rules() {
  loaded ??= fetch(new URL("row_errors.json", import.meta.url))
    .then((reply) => reply.json())
    .catch(() => {
      loaded = null;
      throw lost();
    });
  return loaded;
}

/** @param {number} seconds */
const sleep = (seconds) =>
  new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
  });

/** Asks on behalf of one run. `note` is told what is waited for ("": nothing any more). */
export class RowAsker {
  closedUntil = 0;
  heard = Date.now();
  suspects = 0;

  /**
   * @param {Rules} by
   * @param {AbortSignal} signal
   * @param {(words: string) => void} note
   */
  constructor(by, signal, note) {
    this.by = by;
    this.signal = signal;
    this.note = note;
  }

  /**
   * The answer to a row's question. Throws Stopped, and what the aborted signal throws.
   * @param {Fields} question
   * @param {string} id
   * @param {string[]} names
   * @param {boolean} fields
   * @returns {Promise<Answer>}
   */
  async ask(question, id, names, fields) {
    const body = { ...question, format: "json", charset: "utf-8", request_id: id, wait: this.by.wait_seconds };
    for (let again = 1; ; again += 1) {
      try {
        const { value, tokensIn, tokensOut } = await this.patiently(body);
        this.suspects = 0;
        return cells(value, names, fields, tokensIn, tokensOut);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        if (error.code === "PROVIDER_DOWN" && again < this.by.tries) {
          await this.pause(error, again ** 2 * this.by.unreachable_seconds);
          continue;
        }
        this.judge(error, question);
        return { texts: [], error: `${error.code}: ${error.words()}`.replace(/\s+/g, " "), tokensIn: 0, tokensOut: 0 };
      }
    }
  }

  /**
   * Throw Stopped for an error that the next rows would meet, too.
   * @param {Failure} error
   * @param {Fields} question
   */
  judge(error, question) {
    const ofThisRow = error.code === "INVALID_REQUEST" && Object.values(question).includes("");
    if (this.by.stopping.includes(error.code) && !ofThisRow) throw new Stopped(error);
    this.suspects = this.by.suspect.includes(error.code) ? this.suspects + 1 : 0;
    if (this.suspects >= this.by.most_suspect) throw new Stopped(error);
  }

  /** @param {Fields} body */
  async patiently(body) {
    for (;;) {
      while (this.closedUntil > Date.now()) {
        await sleep(Math.min(1, (this.closedUntil - Date.now()) / 1000));
        this.signal.throwIfAborted();
      }
      try {
        const outcome = await this.once(body);
        this.heard = Date.now();
        this.note("");
        if (outcome) return outcome;
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        const { code, retryAfter: seconds } = error;
        const away = code === "NO_CONNECTION";
        const passes = this.by.waiting.includes(code) || (seconds !== null && !this.by.stopping.includes(code));
        if (!away && !passes) {
          this.heard = Date.now();
          throw error;
        }
        await this.pause(error, away ? this.by.unreachable_seconds : (seconds ?? this.by.retry_after_seconds));
      }
    }
  }

  /**
   * What one reply says; null: it is pending.
   * @param {Fields} body
   */
  async once(body) {
    const reply = await send("task/chat", body, this.signal);
    let text;
    try {
      text = await reply.text();
    } catch (error) {
      throw aborted(error) ? error : lost();
    }
    if (reply.status === 202 || text.startsWith("PENDING ")) return null;
    if (!reply.headers.get("Content-Type")?.startsWith("application/json")) {
      const failure = plainFailure(text);
      failure.retryAfter = retryAfter(reply);
      throw failure;
    }
    const [tokensIn, tokensOut] = ["X-Tokens-In", "X-Tokens-Out"].map((name) => Number(reply.headers.get(name) ?? 0));
    return { value: /** @type {unknown} */ (JSON.parse(text)), tokensIn, tokensOut };
  }

  /**
   * Let nobody ask for a while. Throws Stopped: it has been too long already.
   * @param {Failure} error
   * @param {number} seconds
   */
  async pause(error, seconds) {
    const now = Date.now();
    if ((now - this.heard) / 1000 + seconds > this.by.patience_seconds) throw new Stopped(error);
    this.closedUntil = Math.max(this.closedUntil, now + Math.max(seconds, 0.1) * 1000);
    this.note(t("waitingFor", { seconds: Math.ceil(seconds), code: error.code, words: error.words() }));
    await sleep(Math.min(seconds, 1));
    this.signal.throwIfAborted();
  }
}

/**
 * Let the gateway forget an answer, which is safe here; where it cannot, it does so by itself.
 * @param {string} id
 */
export async function forgetJob(id) {
  await send(`jobs/${id}`, undefined, undefined, "DELETE").catch(() => null);
}

/** @type {(value: unknown, names: string[], fields: boolean, tokensIn: number, tokensOut: number) => Answer} */
function cells(value, names, fields, tokensIn, tokensOut) {
  const named = /** @type {Record<string, unknown>} */ (fields ? value : { [names[0]]: value });
  if (!named || typeof named !== "object" || !names.every((name) => name in named))
    return { texts: [], error: `BAD_ANSWER: ${t("lacksField")}`, tokensIn, tokensOut };
  return { texts: names.map((name) => String(named[name])), error: "", tokensIn, tokensOut };
}
