// Owns how nodes are made: elements, words that change with the language, buttons, dialogs. No HTML is ever parsed.

/** @import { Failure } from "./api.js" */
/** @typedef {string | (() => string)} Words called anew when the language changes */
/** @typedef {string | number | boolean} Value of an attribute */
/** @typedef {HTMLElementEventMap} Known */
/** @typedef {{ [Name in keyof Known as `on${Name}`]?: (event: Known[Name]) => void }} Events */
/** @typedef {Value | (() => Value) | ((event: never) => void) | null | undefined} Attribute */
/** @typedef {Events & { [name: string]: Attribute }} Attributes */
/** @typedef {Node | Words | false | null | undefined} Child */
/** @typedef {Child | Child[]} Children */

/** @type {WeakMap<Element, (() => void)[]>} */
const live = new WeakMap();

/**
 * Set something now, and again whenever the language changes while `element` is on the page.
 * @param {HTMLElement} element
 * @param {() => void} set
 */
function onLanguage(element, set) {
  set();
  live.set(element, [...(live.get(element) ?? []), set]);
  element.dataset.live = "";
}

/** All words on the page anew. */
export function relabel() {
  for (const element of document.querySelectorAll("[data-live]")) for (const set of live.get(element) ?? []) set();
}

/**
 * @param {HTMLElement} element
 * @param {string} name
 * @param {Value} value
 */
function put(element, name, value) {
  if (name === "class") element.className = String(value);
  else if (name === "text") element.textContent = String(value);
  else if (name in element && typeof value !== "string") Object.assign(element, { [name]: value });
  else element.setAttribute(name, String(value));
}

/**
 * @template {HTMLElement} Element
 * @param {Element} element
 * @param {Children[]} children
 */
function append(element, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(typeof child === "function" ? h("span", { text: child }) : child);
  }
  return element;
}

/**
 * An element. An attribute or a child that is a function is words: called now, and when the language changes.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} attributes
 * @param {...Children} children
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (typeof value === "function") {
      const words = /** @type {() => Value} */ (value);
      onLanguage(element, () => put(element, name, words()));
    } else put(element, name, value);
  }
  return append(element, children);
}

/**
 * Save something as a file.
 * @param {Blob} contents
 * @param {string} name
 */
export function download(contents, name) {
  const link = h("a", { href: URL.createObjectURL(contents), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * An SVG element with plain attributes.
 * @param {"svg" | "g" | "line" | "rect" | "title"} tag
 * @param {Record<string, string | number>} attributes
 * @param {...SVGElement} children
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * A button that is no form's submit.
 * @param {Words} words
 * @param {(event: MouseEvent) => void} onclick
 */
export function button(words, onclick, kind = "") {
  return h("button", { type: "button", class: `button ${kind}`, onclick }, words);
}

/**
 * A text of several lines, which grows with what is typed.
 * @param {string} value
 * @param {number} rows
 * @param {Attributes} more
 */
export function area(value, rows, more = {}) {
  const made = h("textarea", { rows, spellcheck: "false", ...more });
  made.value = value;
  return made;
}

let fields = 0;

/**
 * A labelled control, with a hint under it.
 * @param {Words} words
 * @param {HTMLElement} control
 * @param {Words | null} hint
 */
export function field(words, control, hint = null) {
  control.id ||= `field-${++fields}`;
  const below = hint && h("small", { id: `${control.id}-hint`, class: "hint" }, hint);
  if (below) control.setAttribute("aria-describedby", below.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, words), control, below);
}

/**
 * A check box in its label.
 * @param {Words} words
 * @param {HTMLInputElement} control
 */
export function tick(words, control) {
  return h("label", { class: "tick" }, control, words);
}

/**
 * What went wrong, in its own words, with its code.
 * @param {Failure} error
 */
export function failure(error) {
  return h(
    "div",
    { class: "note bad", role: "alert" },
    h("strong", {}, error.code),
    " ",
    () => error.words(),
    error.theirs ? h("q", { class: "theirs" }, error.theirs) : null,
  );
}

/**
 * A modal dialog, which is gone when it is closed. `fill` gets what closes it, and returns what stands in it.
 * @param {Words} title
 * @param {(close: () => void) => Child} fill
 */
export function dialog(title, fill) {
  const heading = h("h2", { id: "dialog-title" }, title);
  const box = h("dialog", { "aria-labelledby": heading.id }, heading);
  box.addEventListener("close", () => box.remove());
  append(box, [fill(() => box.close())]);
  document.body.append(box);
  box.showModal();
  return box;
}

/**
 * Put a text on the clipboard, also where the page came over plain HTTP and navigator.clipboard is not to be had.
 * @param {string} text
 */
export async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const copied = h("textarea", { class: "away" });
  copied.value = text;
  document.body.append(copied);
  copied.select();
  document.execCommand("copy");
  copied.remove();
}

/**
 * A button that copies what `text` returns, and says that it did.
 * @param {() => string} text
 * @param {{ copy: () => string, copied: () => string }} words
 */
export function copyButton(text, words) {
  const made = button(
    words.copy,
    async () => {
      await copy(text());
      made.replaceChildren(h("span", { role: "status", text: words.copied }));
      setTimeout(() => made.replaceChildren(h("span", { text: words.copy })), 1500);
    },
    "quiet",
  );
  return made;
}
