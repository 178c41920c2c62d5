// Owns the parts of a deploy's form that most deploys leave alone: which models a key may use, options and thinking, money.

import { Failure, post } from "./api.js";
import { area, button, failure, field, h } from "./dom.js";
import { t } from "./words.js";

/** @import { Chat } from "./store.js" */

/**
 * Models by name, as the provider lists them for the key that was typed: nothing is sent before the button is pressed.
 * @param {HTMLInputElement} input
 * @param {() => { path: string, body: Record<string, string> }} where
 */
export function offeredModels(input, where) {
  const list = h("datalist", { id: "offered-models" });
  const result = h("div", { class: "result" });
  input.setAttribute("list", list.id);
  const lister = button(() => t("listModels"), look);
  const element = h("div", {}, h("div", { class: "row bottom" }, field(() => t("model"), input), lister), list, result);

  async function look() {
    lister.disabled = true;
    result.replaceChildren(h("p", { class: "note busy", role: "status" }, () => t("working")));
    try {
      const { path, body } = where();
      const { models } = /** @type {{ models: string[] }} */ (await post(path, body));
      list.replaceChildren(...models.map((name) => h("option", { value: name })));
      const words = () => (models.length ? t("modelsListed", { count: models.length }) : t("noModels"));
      result.replaceChildren(h("p", { class: "hint", role: "status" }, words));
      input.focus();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      result.replaceChildren(failure(error));
    }
    lister.disabled = false;
  }

  /** Forget them: they were another provider's. */
  function clear() {
    list.replaceChildren();
    result.replaceChildren();
  }
  return { element, clear };
}

/** What each question says where a request does not, and whether the model thinks. `fill` puts in a chat's, or none. */
export function optionFields() {
  const options = area("", 2, { placeholder: '{"temperature": 0}' });
  const thinking = h(
    "select",
    {},
    h("option", { value: "", text: () => t("providersWay") }),
    h("option", { value: "on", text: () => t("on") }),
    h("option", { value: "off", text: () => t("off") }),
  );
  const hint = () => t("optionsHint");
  return {
    /** @param {Chat | null} row */
    fill(row) {
      options.value = jsonText(row?.options);
      thinking.value = row?.thinking ?? "";
    },
    elements: [field(() => t("options"), options, hint), field(() => t("thinking"), thinking)],
    body: () => ({ options: options.value.trim(), thinking: thinking.value }),
  };
}

/**
 * JSON to be edited; nothing where there is nothing.
 * @param {Record<string, unknown>} [value]
 */
export const jsonText = (value) => (value && Object.keys(value).length ? JSON.stringify(value, null, 1) : "");

/** What a chat's tokens cost, what it may take, and when its balance is little. */
export function moneyFields() {
  /** @type {(more?: object) => HTMLInputElement} */
  const amount = (more = {}) => h("input", { type: "number", min: 0, step: "any", inputMode: "decimal", ...more });
  const [into, out, cached, money, least] = Array.from({ length: 5 }, () => amount());
  const tokens = amount({ min: 1, step: 1 });
  const currency = h("input", { value: "CNY", pattern: "[A-Z]{3}", maxLength: 3, spellcheck: "false" });
  const per = h(
    "select",
    {},
    h("option", { value: "month", text: () => t("perMonth") }),
    h("option", { value: "day", text: () => t("perDay") }),
  );
  const element = h(
    "details",
    {},
    h("summary", {}, () => t("moneyTitle")),
    h("p", { class: "hint" }, () => t("priceHint")),
    h(
      "div",
      { class: "four" },
      field(() => t("priceIn"), into),
      field(() => t("priceOut"), out),
      field(() => t("priceCached"), cached),
      field(() => t("currency"), currency),
    ),
    h("p", { class: "hint" }, () => t("budgetHint")),
    h(
      "div",
      { class: "four" },
      field(() => t("budgetMoney"), money),
      field(() => t("budgetTokens"), tokens),
      field(() => t("budgetPer"), per),
      field(() => t("lowBalance"), least),
    ),
  );
  /** @type {(input: HTMLInputElement, value: unknown) => void} */
  const put = (input, value) => {
    input.value = String(value ?? "");
  };
  return {
    element,
    /**
     * Put in a chat's budget, and, unless it is another provider's from now on, its price.
     * @param {Chat} row
     * @param {boolean} same
     */
    fill({ price, budget, low }, same) {
      put(into, same ? price?.in : "");
      put(out, same ? price?.out : "");
      put(cached, same && price?.cached !== price?.in ? price?.cached : "");
      if (price) put(currency, price.currency);
      put(money, budget?.money);
      put(tokens, budget?.tokens);
      per.value = budget?.per ?? "month";
      put(least, same ? low : "");
      element.open = Boolean(price || budget || low !== null);
    },
    body() {
      const prices = given({ in: into.value, out: out.value, cached: cached.value });
      const limits = given({ money: money.value, tokens: tokens.value });
      return {
        price: Object.keys(prices).length ? { ...prices, currency: currency.value } : "",
        budget: Object.keys(limits).length ? { ...limits, per: per.value } : "",
        low: least.value,
      };
    },
  };
}

/** @param {Record<string, string>} texts */
const given = (texts) => Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ""));
