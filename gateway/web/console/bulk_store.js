// Owns what Bulk keeps in this browser: one table, what is asked about it, and the answers, so that a reload loses nothing.

/** @import { Answer } from "./bulk_gateway.js" */
/** @import { Structure } from "./prompts.js" */
/** @typedef {{ columns: string[], rows: string[][], charset: string | null, delimiter: string | null }} Table */
/**
 * What is asked, of which table. `file` is in base64; `places` are the columns' places by variable; `names` are the new
 * columns; `seconds` is how long it has run.
 * @typedef {object} Plan
 * @property {string} id
 * @property {string} name
 * @property {string} file
 * @property {boolean} header
 * @property {string} charset as it was corrected; "" is as it was found
 * @property {string} delimiter
 * @property {Table} table
 * @property {string} chat
 * @property {Record<string, number>} places
 * @property {Structure} structure
 * @property {string[]} names
 * @property {boolean} fields whether each new column is a named value
 * @property {number} atOnce
 * @property {number} seconds
 */

const NAME = "bulk";

/** @type {Promise<IDBDatabase> | null} */
let opened = null;

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB"));
  });

function open() {
  opened ??= (() => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("plan");
      request.result.createObjectStore("answers");
    };
    return done(request);
  })();
  return opened;
}

/** @param {"readonly" | "readwrite"} mode */
async function stores(mode) {
  const work = (await open()).transaction(["plan", "answers"], mode);
  return { plan: work.objectStore("plan"), answers: work.objectStore("answers"), work };
}

/** What was kept; null: nothing. Rejects where the browser keeps nothing, as in some private windows. */
export async function load() {
  const { plan, answers } = await stores("readonly");
  const [kept, rows, values] = await Promise.all([done(plan.get(NAME)), done(answers.getAllKeys()), done(answers.getAll())]);
  if (!kept) return null;
  /** @type {Map<number, Answer>} */
  const byRow = new Map(rows.map((row, at) => [Number(row), values[at]]));
  return { plan: /** @type {Plan} */ (kept), answers: byRow };
}

/** @param {Plan} plan */
export async function keepPlan(plan) {
  await done((await stores("readwrite")).plan.put(plan, NAME));
}

/**
 * @param {number} row
 * @param {Answer} answer
 */
export async function keepAnswer(row, answer) {
  await done((await stores("readwrite")).answers.put(answer, row));
}

/** Forget all of it. */
export async function forget() {
  const { plan, answers } = await stores("readwrite");
  await Promise.all([done(answers.clear()), done(plan.delete(NAME))]);
}
