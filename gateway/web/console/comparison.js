// Owns the export of a conversation: its questions and answers side by side, as Markdown.

import { download } from "./dom.js";
import { number, t, time } from "./words.js";

/** @import { Answer } from "./answer.js" */

/**
 * A question and its answers. `replaced`: it was asked again.
 * @typedef {object} Turn
 * @property {string} question
 * @property {Answer[]} answers
 * @property {boolean} replaced
 * @property {Answer | null} best
 * @property {Date} at
 * @property {HTMLElement} element
 */

/**
 * Save it as a file.
 * @param {Turn[]} turns
 */
export function save(turns) {
  const file = new Blob([markdown(turns)], { type: "text/markdown" });
  download(file, `comparison-${new Date().toISOString().slice(0, 10)}.md`);
}

/** @param {Turn[]} turns */
function markdown(turns) {
  const lines = [`# ${t("comparison")}`];
  for (const turn of turns) {
    lines.push(`## ${turn.question.replace(/\s*\n\s*/g, " ")}`, `_${time(turn.at)}_`);
    for (const answer of turn.answers) {
      const spent = [
        `${number(answer.seconds, 1)} s`,
        answer.tokens === null ? "" : t("tokens", { count: answer.tokens }),
      ];
      const by = answer.told.fellBack ? t("fellBack", { chat: answer.told.servedBy, why: answer.told.fellBack }) : "";
      const about = [answer.by.textContent, ...spent, by, answer.best ? `★ ${t("best")}` : ""]
        .filter(Boolean)
        .join(" · ");
      lines.push(
        `### ${answer.chat}`,
        `_${about}_`,
        answer.text || `**${answer.error?.code ?? t("wasStopped")}** ${answer.error?.words() ?? ""}`,
      );
    }
  }
  return `${lines.join("\n\n")}\n`;
}
