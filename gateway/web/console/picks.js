// Owns which chat was picked as best, how often: kept in this browser only.

/** @type {() => Record<string, number>} */
const read = () => {
  try {
    return JSON.parse(localStorage.getItem("picks") ?? "null") ?? {};
  } catch {
    return {};
  }
};

/** @param {string} chat */
export const picks = (chat) => read()[chat] ?? 0;

/**
 * @param {string} chat
 * @param {number} by
 */
export function pick(chat, by) {
  const all = read();
  all[chat] = Math.max(0, (all[chat] ?? 0) + by);
  localStorage.setItem("picks", JSON.stringify(all));
}
