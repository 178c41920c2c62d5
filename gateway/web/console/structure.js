// Owns the fields that say what an answer must be: words, one of a list, or named values.

import { area, field, h } from "./dom.js";
import { lines } from "./prompts.js";
import { t } from "./words.js";

/** @import { Structure } from "./prompts.js" */
/** @import { Words } from "./dom.js" */

/**
 * A select and, beside it, a line for each choice or name. `words` is what stands first in the select.
 * @param {Words} words
 * @param {Structure} structure what it begins with
 */
export function structureFields(words, structure = {}) {
  /** @type {(list: string[] | undefined, placeholder: string) => HTMLTextAreaElement} */
  const list = (texts, placeholder) => area((texts ?? []).join("\n"), 3, { placeholder });
  const choices = list(structure.choices, "refund\ncomplaint\nother");
  const fields = list(structure.fields, "name\namount:number\nday:date\nkind:refund|other");
  const choiceField = field(
    () => t("choiceLines"),
    choices,
    () => t("choiceHint"),
  );
  const namesField = field(
    () => t("fieldLines"),
    fields,
    () => t("fieldHint"),
  );
  const kind = h(
    "select",
    { onchange: () => show() },
    h("option", { value: "", text: words }),
    h("option", { value: "choices", text: () => t("oneOf") }),
    h("option", { value: "fields", text: () => t("namedValues") }),
  );
  kind.value = structure.choices ? "choices" : structure.fields ? "fields" : "";
  function show() {
    choiceField.hidden = !(choices.required = kind.value === "choices");
    namesField.hidden = !(fields.required = kind.value === "fields");
  }
  show();
  return {
    elements: [field(() => t("answerIs"), kind), choiceField, namesField],
    /** @returns {Structure} */
    structure() {
      if (kind.value === "choices") return { choices: lines(choices.value) };
      return kind.value === "fields" ? { fields: lines(fields.value) } : {};
    },
  };
}
