// Owns how a reply is shown as a program gets it: each byte of its body, and what its head says of it.

import { h } from "./dom.js";
import { number, t } from "./words.js";

/** @import { Reply } from "./chat.js" */

/**
 * A reply's body as text. Line ends, which no one would see, are shown as signs.
 * @param {Reply} reply
 */
export function replyBytes(reply) {
  const shown = reply.text.replace(/\r/g, "␍").replace(/\n/g, "␊\n");
  return h(
    "div",
    { class: "code bytes" },
    h(
      "div",
      { class: "bar" },
      h("span", {}, () => t("asPrograms", { size: number(reply.size), status: reply.status, type: reply.type })),
    ),
    h("pre", { tabIndex: 0, "aria-label": () => t("replyBody") }, shown),
  );
}
