// Owns which chat was picked as best, how often: kept in this browser only.

const read = () => {
  try {
    return JSON.parse(localStorage.getItem("picks")) ?? {};
  } catch {
    return {};
  }
};

export const picks = (chat) => read()[chat] ?? 0;

export function pick(chat, by) {
  const all = read();
  all[chat] = Math.max(0, (all[chat] ?? 0) + by);
  localStorage.setItem("picks", JSON.stringify(all));
}
