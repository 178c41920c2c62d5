// Owns what the page knows of a prompt: its variables, as gateway/providers/prompts.py finds them, and what a chat's own
// settings say that its answers must be.

import { model } from "./store.js";

/** @import { Chat } from "./store.js" */
/** @typedef {{ choices?: string[], fields?: string[] }} Structure one of the two, or neither */

const VARIABLE = /\{\{\s*([\p{L}\p{Nl}_][\p{L}\p{N}_.-]{0,63})\s*\}\}/gu;

/**
 * The names of the variables, each once, in their order.
 * @param {...string} prompts
 */
export const variables = (...prompts) => [
  ...new Set(prompts.flatMap((prompt) => [...prompt.matchAll(VARIABLE)].map((found) => found[1]))),
];

/**
 * A prompt with its variables' values.
 * @param {string} prompt
 * @param {Record<string, string>} values
 */
export const expanded = (prompt, values) => prompt.replace(VARIABLE, (_, name) => values[name] ?? "");

/**
 * What a program must say to a chat: the variables of a task, or the content.
 * @param {Chat | undefined} row
 */
export const asks = (row) => row?.task?.variables ?? ["content"];

/**
 * How a chat's replies are written where a request does not say; a task's own stands before its chat's.
 * @param {Chat | undefined} row
 * @returns {Record<string, unknown>}
 */
export function replyOptions(row) {
  if (!row) return {};
  const { choices, fields, ...rest } = row.task ? (model(row.task.through)?.reply ?? {}) : {};
  const own = row.reply;
  return { ...rest, ...(own.choices || own.fields ? {} : { choices, fields }), ...own };
}

/**
 * What a chat's answers must be, by its deploy or its task's.
 * @param {Chat | undefined} row
 * @returns {Structure}
 */
export function structureOf(row) {
  const { choices, fields } = /** @type {Structure} */ (replyOptions(row));
  return choices ? { choices } : fields ? { fields } : {};
}

/** @param {Structure} structure */
export const isWords = ({ choices, fields }) => !choices && !fields;

/**
 * A list that was typed, a line each.
 * @param {string} text
 */
export const lines = (text) =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
