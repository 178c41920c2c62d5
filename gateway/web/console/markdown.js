// Owns how a model's Markdown is shown: the gateway takes it apart, and only the elements named here are ever made.

import { post } from "./api.js";
import { copyButton, h } from "./dom.js";
import { t } from "./words.js";

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
const SAFE = /^(https?:|mailto:)/i;
const LONGEST = 40_000;

/** Nodes for a text. Where it is too long, or the gateway is away, the text itself. */
export async function rendered(text) {
  if (text.length > LONGEST) return [text];
  try {
    return built((await post("console/markdown", { text })).parts);
  } catch {
    return [text];
  }
}

function built(parts) {
  const root = document.createDocumentFragment();
  const open = [root];
  for (const part of parts) {
    if (typeof part === "string") open.at(-1).append(part);
    else if (part) {
      const element = made(...part);
      open.at(-1).append(element.closest("div.code") ?? element);
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

function made(tag, attributes) {
  if (tag === "pre") return code(attributes.language);
  if (tag === "a") return link(attributes.href ?? "");
  // An answer stands under headings of the page's own.
  if (/^h[1-6]$/.test(tag)) return h(`h${Math.min(6, Number(tag[1]) + 3)}`);
  if (!PLAIN.has(tag)) return h("span");
  const align = /^(left|center|right)$/.test(attributes.align ?? "") ? attributes.align : null;
  return h(tag, { start: tag === "ol" ? Number(attributes.start ?? 1) : null, class: align });
}

function link(address) {
  if (!SAFE.test(address)) return h("span");
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" });
}

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
