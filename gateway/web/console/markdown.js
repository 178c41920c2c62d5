// Owns how a model's Markdown is shown: the gateway takes it apart, and only the elements named here are ever made.

import { post } from "./api.js";
import { copyButton, h } from "./dom.js";
import { t } from "./words.js";

/** @typedef {Record<string, string>} Attributes */
/** @typedef {string | [string, Attributes] | null} Part a text, an element's begin, or the end of one */

/** @type {Set<string>} */
const PLAIN = new Set([
  "p",
  "ul",
  "ol",
  "li",
  "blockquote",
  "em",
  "strong",
  "s",
  "br",
  "hr",
  "code",
  "table",
  "thead",
  "tbody",
  "tr",
  "th",
  "td",
]);
// An answer stands under headings of the page's own.
const HEADINGS = /** @type {const} */ (["h4", "h5", "h6"]);
const SAFE = /^(https?:|mailto:)/i;
const LONGEST = 40_000;

/**
 * Nodes for a text. Where it is too long, or the gateway is away, the text itself.
 * @param {string} text
 * @returns {Promise<(Node | string)[]>}
 */
export async function rendered(text) {
  if (text.length > LONGEST) return [text];
  try {
    const reply = /** @type {{ parts: Part[] }} */ (await post("console/markdown", { text }));
    return built(reply.parts);
  } catch {
    return [text];
  }
}

/** @param {Part[]} parts */
function built(parts) {
  const root = document.createDocumentFragment();
  /** @type {(DocumentFragment | HTMLElement)[]} */
  const open = [root];
  for (const part of parts) {
    const inside = open[open.length - 1];
    if (typeof part === "string") inside.append(part);
    else if (part) {
      const element = made(...part);
      inside.append(element.closest("div.code") ?? element);
      open.push(element);
    } else open.pop();
  }
  for (const table of root.querySelectorAll("table")) {
    const frame = h("div", { class: "wide", tabIndex: 0, role: "region", "aria-label": () => t("table") });
    table.replaceWith(frame);
    frame.append(table);
  }
  return [root];
}

/**
 * @param {string} tag
 * @param {Attributes} attributes
 * @returns {HTMLElement}
 */
function made(tag, attributes) {
  if (tag === "pre") return code(attributes.language);
  if (tag === "a") return link(attributes.href ?? "");
  if (/^h[1-6]$/.test(tag)) return h(HEADINGS[Math.min(Number(tag[1]), 3) - 1]);
  if (!PLAIN.has(tag)) return h("span");
  const align = /^(left|center|right)$/.test(attributes.align ?? "") ? attributes.align : null;
  const known = /** @type {keyof HTMLElementTagNameMap} */ (tag);
  return h(known, { start: tag === "ol" ? Number(attributes.start ?? 1) : null, class: align });
}

/** @param {string} address */
function link(address) {
  if (!SAFE.test(address)) return h("span");
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" });
}

/** @param {string} [language] */
function code(language) {
  const inside = h("pre", { tabIndex: 0, "aria-label": () => t("code") });
  const bar = h(
    "div",
    { class: "bar" },
    h("span", {}, language || ""),
    copyButton(() => inside.textContent, { copy: () => t("copy"), copied: () => t("copied") }),
  );
  h("div", { class: "code" }, bar, inside);
  return inside;
}
