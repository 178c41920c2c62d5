// Owns what is known of the gateway: asked every few seconds while somebody looks, and told to whoever listens.

import { Failure, get } from "./api.js";

/**
 * What a chat may use, and has used: null is as much as it likes.
 * @typedef {object} Budget
 * @property {number | null} money
 * @property {number | null} tokens
 * @property {"day" | "month"} per
 * @property {number} spent_money
 * @property {number} spent_tokens
 */

/**
 * A chat, as GET /models tells of it.
 * @typedef {object} Chat
 * @property {string} chat_name
 * @property {string} provider
 * @property {string | null} model_name
 * @property {string | null} host
 * @property {number} replicas
 * @property {number} [in_flight]
 * @property {string | null} since in ISO 8601
 * @property {"answering" | "resting" | "starting" | "need_key"} state
 * @property {{ code: string, since: number, until: number } | null} resting in Unix time
 * @property {string[]} fallback
 * @property {Budget | null} budget
 * @property {{ in: number, out: number, cached: number, currency: string } | null} price of a million tokens
 * @property {{ amount: number, currency: string, at: number } | null} balance at Unix time
 * @property {number | null} low
 * @property {Record<string, unknown>} options
 * @property {"on" | "off" | null} thinking
 * @property {Record<string, unknown>} reply
 * @property {{ through: string, variables: string[] } | null} task
 */

/**
 * `inside`: its models run in the cluster. `base_url` is "" where there is none that is everybody's.
 * @typedef {object} Provider
 * @property {string} name
 * @property {boolean} needs_key
 * @property {string} model_name
 * @property {string} base_url
 * @property {string} base_url_example
 * @property {boolean} inside
 */
/** @typedef {Record<string, Record<string, number>>} Requests by chat and code, since the gateway started */
/** @typedef {{ scopes: string[], providers: Provider[], models: Chat[] }} Known what is kept of /console/state */
/** @typedef {{ chat: string, code: string, number: number, from: number, to: number }} Delta in Unix ms */

const EVERY = 3000;
export const WINDOW = 300_000;

/**
 * `ready`: it was heard of once. `failure`: why not the last time. `deltas`: what was counted between polls.
 * @type {Known & { ready: boolean, failure: Failure | null, deltas: Delta[] }}
 */
export const store = { ready: false, failure: null, scopes: [], providers: [], models: [], deltas: [] };

/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {{ at: number, requests: Requests } | null} */
let counted = null;
let timer = 0;
/** @type {Promise<void> | null} */
let asking = null;

/**
 * Call `listener` whenever the gateway was looked at. Returns what ends that.
 * @param {() => void} listener
 */
export function listen(listener) {
  listeners.add(listener);
  if (store.ready) listener();
  return () => listeners.delete(listener);
}

/**
 * From now on tell nobody but `listener`: the views were made anew.
 * @param {() => void} listener
 */
export function tellOnly(listener) {
  listeners.clear();
  listeners.add(listener);
}

/** @param {string} scope */
export const may = (scope) => store.scopes.includes(scope);
/** @param {string} name */
export const model = (name) => store.models.find((row) => row.chat_name === name);

/** Ask now, and go on asking. Resolves when the answer is there, good or bad. */
export function refresh() {
  asking ??= look().finally(() => {
    asking = null;
  });
  return asking;
}

async function look() {
  clearTimeout(timer);
  try {
    const said = /** @type {Known & { requests: Requests }} */ (await get("console/state"));
    count(said.requests);
    Object.assign(store, { ready: true, failure: null }, said);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    store.failure = error;
  }
  for (const listener of listeners) listener();
  if (store.failure?.status !== 401 && !document.hidden) timer = setTimeout(refresh, EVERY);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && store.failure?.status !== 401) refresh();
});

/**
 * Keep what came since the last time; the gateway counts from its own start.
 * @param {Requests} requests
 */
function count(requests) {
  const now = Date.now();
  const last = counted ?? { at: now, requests };
  for (const [chat, codes] of Object.entries(requests)) {
    const before = last.requests[chat] ?? {};
    for (const [code, number] of Object.entries(codes)) {
      const more = number - (before[code] ?? 0);
      if (more > 0) store.deltas.push({ chat, code, number: more, from: last.at, to: now });
    }
  }
  store.deltas = store.deltas.filter((delta) => delta.to > now - WINDOW);
  counted = { at: now, requests };
}
