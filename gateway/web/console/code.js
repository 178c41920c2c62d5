// Owns the view Try it from code: for a chat, ready-made calls and the files of examples/, to copy.

import { copyButton, field, h } from "./dom.js";
import { calls } from "./snippets.js";
import { listen, store } from "./store.js";
import { t } from "./words.js";

/** @import { Example, Part } from "./snippets.js" */

/** @type {((name: string) => void) | null} */
let wanted = null;
let first = "";

/**
 * Go to this view, with a chat chosen.
 * @param {string} name
 */
export function showCode(name) {
  first = name;
  wanted?.(name);
  location.hash = "#code";
}

export function codeView() {
  const chat = h("select", { onchange: () => draw() });
  const tabs = h("div", { class: "chips", role: "group", "aria-label": () => t("languages") });
  const shown = h("div", { class: "calls" });
  /** @type {Promise<Example[]> | null} */
  let examples = null;
  let language = "curl";

  function focus() {
    /** @type {HTMLElement | null} */
    const pressed = tabs.querySelector("[aria-pressed=true]");
    pressed?.focus();
  }

  async function draw() {
    examples ??= fetch(new URL("examples.json", import.meta.url))
      .then((reply) => reply.json())
      .catch(() => []);
    const all = calls(chat.value || "local_chat", await examples);
    if (!all.some((call) => call.name === language)) language = all[0].name;
    tabs.replaceChildren(
      ...all.map((call) =>
        h(
          "button",
          {
            type: "button",
            class: "button tab",
            "aria-pressed": String(call.name === language),
            onclick: (event) => {
              language = call.name;
              draw().then(focus);
              event.preventDefault();
            },
          },
          call.name,
        ),
      ),
    );
    const call = all.find((one) => one.name === language) ?? all[0];
    shown.replaceChildren(...(call.note ? [h("p", { class: "note" }, call.note)] : []), ...call.parts.map(part));
  }

  listen(() => {
    const names = store.models.map((row) => row.chat_name);
    if ([...chat.options].map((option) => option.value).join() === names.join()) return;
    const kept = chat.value;
    chat.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
    const able = store.models.find((row) => row.state === "answering") ?? store.models[0];
    if (names.length) chat.value = [kept, first].find((name) => names.includes(name)) ?? able.chat_name;
    draw();
  });
  wanted = (name) => {
    chat.value = name;
    draw();
  };
  return h(
    "section",
    { class: "code-view", "aria-labelledby": "code-title" },
    h("h1", { id: "code-title" }, () => t("code_")),
    h("p", { class: "lead" }, () => t("codeLead")),
    field(() => t("chat"), chat),
    tabs,
    shown,
  );
}

/** @param {Part} part */
function part({ title, text }) {
  const bar = h(
    "div",
    { class: "bar" },
    h("span", {}, title),
    copyButton(() => text, { copy: () => t("copy"), copied: () => t("copied") }),
  );
  return h("div", { class: "code" }, bar, h("pre", { tabIndex: 0, "aria-label": title }, text));
}
