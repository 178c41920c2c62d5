// Owns the deploy of the model that is built in, by one click, and how a chat's name is typed.

import { Failure, post } from "./api.js";
import { failure, field, h } from "./dom.js";
import { model, refresh } from "./store.js";
import { t } from "./words.js";

const NAME = "[A-Za-z0-9_.\\-]{1,64}";

/**
 * A name that no chat has.
 * @param {string} wanted
 */
export function freeName(wanted) {
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? wanted : `${wanted}_${count}`;
    if (!model(name)) return name;
  }
}

/** @param {string} value */
export const nameField = (value) =>
  h("input", { value, required: true, pattern: NAME, title: t("nameHint"), autocomplete: "off", spellcheck: "false" });

/** One click: the built-in model under a name that can be changed. */
export function quickStart() {
  const name = nameField(freeName("local_chat"));
  const submit = h("button", { class: "button primary" }, () => t("quickDeploy"));
  const result = h("div", { class: "result" });
  const form = h(
    "form",
    {
      class: "quick",
      onsubmit: async (event) => {
        event.preventDefault();
        const chat = name.value;
        submit.disabled = true;
        result.replaceChildren(h("p", { class: "note busy", role: "status" }, () => t("starting_", { chat })));
        try {
          await post("local/deploy", { chat_name: chat });
          await refresh();
          result.replaceChildren(h("p", { class: "note good", role: "status" }, () => t("answersNow", { chat })));
          name.value = freeName("local_chat");
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          result.replaceChildren(failure(error));
        }
        submit.disabled = false;
      },
    },
    h(
      "div",
      { class: "row bottom" },
      field(() => t("name"), name),
      submit,
    ),
    h("p", { class: "hint" }, () => t("quickHint")),
    result,
  );
  return form;
}
