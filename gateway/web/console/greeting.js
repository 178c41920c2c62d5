// Owns what Ask says first, where there is nothing to ask yet, or nothing to compare.

import { h } from "./dom.js";
import { quickStart } from "./quick_start.js";
import { may, store } from "./store.js";
import { t } from "./words.js";

/**
 * By how many chats there are, and whether one may deploy.
 * @type {Record<string, "noneAdmin" | "oneAdmin" | "noneChat">}
 */
const GREETINGS = { "0true": "noneAdmin", "1true": "oneAdmin", "0false": "noneChat" };

/** @param {string} kind */
export function greeting(kind) {
  const words = GREETINGS[kind];
  if (!words) return [];
  return [
    h("h2", {}, () => t(words, { chat: store.models[0]?.chat_name })),
    h("p", {}, () => t(`${words}More`)),
    ...(may("admin") ? [quickStart()] : []),
  ];
}
