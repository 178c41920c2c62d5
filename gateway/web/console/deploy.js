// Owns deploys of any provider's model, by a form, and the switch of a chat.

import { post } from "./api.js";
import { actionDialog, chainEditor, hostOf, through } from "./actions.js";
import { button, field, h, tick } from "./dom.js";
import { moneyFields, offeredModels, optionFields } from "./model_settings.js";
import { freeName, nameField, quickStart } from "./quick_start.js";
import { model, store } from "./store.js";
import { t } from "./words.js";

/** @import { Behind } from "./actions.js" */
/** @import { Attributes } from "./dom.js" */
/** @import { Chat } from "./store.js" */

/**
 * The form for a new chat, or, with `row`, for what shall be behind that chat from now on.
 * @param {Chat | null} row
 */
export function deploy(row = null) {
  const form = new Form(row);
  form.say = actionDialog({
    title: () => (row ? t("switchTitle", { chat: row.chat_name }) : t("deployTitle")),
    inputs: form.inputs,
    what: () => form.what(),
    verb: () => t(row ? "switch" : "deploy"),
    send: () => form.send(),
    done: () => t("answersThrough", { chat: form.chat, now: through(model(form.chat) ?? form.next) }),
  });
}

class Form {
  /** @param {Chat | null} row */
  constructor(row) {
    this.row = row;
    this.say = () => {};
    /** @param {Attributes} more */
    const text = (more) => h("input", { autocomplete: "off", spellcheck: "false", ...more });
    /** @type {(value: string, max: number) => HTMLInputElement} */
    const count = (value, max) =>
      h("input", { type: "number", min: 1, max, value, inputMode: "numeric", required: true });
    this.provider = h(
      "select",
      { onchange: () => this.change() },
      store.providers.map((one) => h("option", { value: one.name, text: () => t(`provider_${one.name}`) || one.name })),
    );
    const now = store.providers.find((one) => one.name === row?.provider);
    this.provider.value = now?.name ?? store.providers.find((one) => one.needs_key)?.name ?? "";
    this.name = nameField(row?.chat_name ?? "");
    this.name.readOnly = Boolean(row);
    this.key = text({ type: "password", autocomplete: "new-password" });
    this.model = text({});
    this.address = text({ type: "url" });
    this.workers = count(String(row?.replicas || 1), 32);
    this.timeout = count("120", 3600);
    this.check = h("input", { type: "checkbox", checked: true });
    this.keyField = field(
      () => t("key"),
      this.key,
      () => t("keyHint"),
    );
    this.addressField = field(
      () => t("address"),
      this.address,
      () => t("addressHint"),
    );
    this.offered = offeredModels(this.model, () => ({
      path: `${this.chosen.name}/models`,
      body: this.whose(),
    }));
    this.options = optionFields();
    this.money = moneyFields();
    this.chain = chainEditor(row?.chat_name ?? "", row?.fallback ?? []);
    this.chain.changed = () => this.say();
    this.more = h(
      "details",
      {},
      h("summary", {}, () => t("more")),
      this.addressField,
      h(
        "div",
        { class: "pair" },
        field(() => t("workers"), this.workers),
        field(() => t("timeout"), this.timeout),
        ...this.options.elements,
      ),
      this.chain.element,
    );
    this.inputs = [
      h(
        "div",
        { class: "pair" },
        field(() => t("provider"), this.provider),
        field(() => t("name"), this.name, row ? null : () => t("nameHint")),
      ),
      this.keyField,
      this.offered.element,
      tick(() => t("check"), this.check),
      this.more,
      this.money.element,
    ];
    this.change();
  }

  get chosen() {
    return store.providers.find((one) => one.name === this.provider.value) ?? store.providers[0];
  }

  get chat() {
    return this.name.value;
  }

  change() {
    const { needs_key: needed, model_name: usual, base_url: address, base_url_example: example, name } = this.chosen;
    const { inside } = this.chosen;
    this.keyField.hidden = this.addressField.hidden = inside;
    this.key.required = needed;
    this.offered.clear();
    this.model.placeholder = usual;
    const same = this.row?.provider === name;
    this.model.value = (same && this.row?.model_name) || "";
    if (this.row) {
      this.options.fill(same ? this.row : null);
      this.money.fill(this.row, same);
    }
    this.address.placeholder = address || example;
    this.address.required = !inside && !address;
    if (this.address.required) this.more.open = true; // else a browser cannot show what is missing
    const given = new RegExp(`^(${store.providers.map((one) => one.name).join("|")})_chat(_\\d+)?$`);
    if (!this.row && (!this.name.value || given.test(this.name.value))) {
      this.name.value = freeName(`${name}_chat`);
    }
    this.say();
  }

  /** @returns {Behind} what will answer */
  get next() {
    return {
      provider: this.chosen.name,
      model_name: this.model.value.trim() || this.chosen.model_name,
      host: this.chosen.inside ? null : hostOf(this.address.value.trim()),
    };
  }

  what() {
    const chat = this.chat || "…";
    const next = through(this.next);
    const before = model(chat);
    const said = [before ? t("switchWhat", { chat, now: through(before), next }) : t("deployWhat", { chat, next })];
    if (this.check.checked) said.push(t(before ? "checkWhatSwitch" : "checkWhat"));
    if (before && before.state !== "need_key") said.push(t("undoLater"));
    if (this.chosen.inside && !this.model.value.trim()) said.push(t("quickHint"));
    return said.join(t("gap"));
  }

  /** @returns {Record<string, string>} whose models are meant, and by which key */
  whose() {
    return this.chosen.inside ? {} : { api_key: this.key.value, base_url: this.address.value.trim() };
  }

  async send() {
    const body = {
      chat_name: this.chat,
      model_name: this.model.value.trim(),
      workers: this.workers.value,
      timeout: this.timeout.value,
      check: this.check.checked,
      fallback: this.chain.chain(),
      ...this.options.body(),
      ...this.money.body(),
    };
    Object.assign(body, this.whose());
    // It is gone from the page before the reply is there, whatever that says.
    this.key.value = "";
    await post(`${this.chosen.name}/deploy`, body);
  }
}

/** What an empty Run begins with. */
export function firstDeploy() {
  return h(
    "div",
    { class: "hello" },
    h("h2", {}, () => t("noneAdmin")),
    h("p", {}, () => t("noneAdminMore")),
    quickStart(),
    h(
      "p",
      {},
      () => `${t("orElse")} `,
      button(
        () => t("deployOther"),
        () => deploy(),
        "quiet",
      ),
    ),
  );
}
