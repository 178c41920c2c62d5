// Owns what is known of the gateway: asked every few seconds while somebody looks, and told to whoever listens.

import { get } from "./api.js";

const EVERY = 3000;
export const WINDOW = 300_000;

/** `ready`: it was heard of once. `failure`: why not the last time. `deltas`: what was counted between polls. */
export const store = { ready: false, failure: null, scopes: [], providers: [], models: [], deltas: [] };

const listeners = new Set();
let counted = null;
let timer = 0;
let asking = null;

/** Call `listener` whenever the gateway was looked at. Returns what ends that. */
export function listen(listener) {
  listeners.add(listener);
  if (store.ready) listener();
  return () => listeners.delete(listener);
}

/** From now on tell nobody but `listener`: the views were made anew. */
export function tellOnly(listener) {
  listeners.clear();
  listeners.add(listener);
}

export const may = (scope) => store.scopes.includes(scope);
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
    const said = await get("console/state");
    count(said.requests);
    Object.assign(store, { ready: true, failure: null }, said);
  } catch (error) {
    store.failure = error;
  }
  for (const listener of listeners) listener();
  if (store.failure?.status !== 401 && !document.hidden) timer = setTimeout(refresh, EVERY);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && store.failure?.status !== 401) refresh();
});

/** Keep what came since the last time; the gateway counts from its own start. */
function count(requests) {
  const now = Date.now();
  for (const [chat, codes] of Object.entries(counted ? requests : {})) {
    const before = counted.requests[chat] ?? {};
    for (const [code, number] of Object.entries(codes)) {
      const more = number - (before[code] ?? 0);
      if (more > 0) store.deltas.push({ chat, code, number: more, from: counted.at, to: now });
    }
  }
  store.deltas = store.deltas.filter((delta) => delta.to > now - WINDOW);
  counted = { at: now, requests };
}
