// Owns what is said beside a question in Ask: the variables of tasks, and, folded away, how the model is to answer.

import { field, h } from "./dom.js";
import { asks } from "./prompts.js";
import { model } from "./store.js";
import { structureFields } from "./structure.js";
import { t } from "./words.js";

/** @import { Message, Question } from "./chat.js" */

/** `changed` is called when something else would be asked. */
export class AskOptions {
  /** @type {Map<string, HTMLInputElement>} */
  inputs = new Map();
  values = h("div", { class: "pair values" });
  system = h("textarea", { rows: 2, spellcheck: "true" });
  temperature = h("input", { type: "number", min: 0, max: 2, step: "any", inputMode: "decimal" });
  thinking = h(
    "select",
    {},
    h("option", { value: "", text: () => t("asDeployed") }),
    h("option", { value: "on", text: () => t("on") }),
    h("option", { value: "off", text: () => t("off") }),
  );
  form = structureFields(() => t("asDeployed"));
  folded = h(
    "details",
    { class: "options" },
    h("summary", {}, () => t("askOptions")),
    field(() => t("system"), this.system),
    h(
      "div",
      { class: "pair" },
      field(() => t("temperature"), this.temperature),
      field(() => t("thinking"), this.thinking),
      ...this.form.elements,
    ),
  );
  element = h("div", { class: "beside" }, this.values, this.folded);

  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    this.element.addEventListener("input", () => changed());
  }

  /**
   * Have an input for each variable of the chosen tasks but `content`, which is the question.
   * @param {string[]} chosen
   */
  show(chosen) {
    const names = [...new Set(chosen.flatMap((name) => asks(model(name))))].filter((name) => name !== "content");
    for (const [name, input] of this.inputs) {
      if (!names.includes(name)) {
        input.closest(".field")?.remove();
        this.inputs.delete(name);
      }
    }
    for (const name of names.filter((one) => !this.inputs.has(one))) {
      const input = h("input", { autocomplete: "off" });
      this.inputs.set(name, input);
      this.values.append(field(name, input));
    }
    this.values.hidden = names.length === 0;
  }

  get valid() {
    return this.temperature.validity.valid;
  }

  /**
   * What is asked of a chat.
   * @param {string} chat
   * @param {string} content
   * @param {Message[]} history
   * @returns {Question}
   */
  question(chat, content, history) {
    const names = asks(model(chat));
    /** @type {Record<string, string>} */
    const values = {};
    for (const [name, input] of this.inputs)
      if (names.includes(name)) values[name] = input.value;
    return {
      content: names.includes("content") ? content : "",
      history,
      values,
      system: this.system.value.trim(),
      temperature: this.temperature.value,
      thinking: this.thinking.value,
      structure: this.form.structure(),
    };
  }
}
