// Owns the dialog of a task: its prompt, tried with values for its variables beside what is there now, then deployed.

import { Failure, get, post } from "./api.js";
import { actionDialog } from "./actions.js";
import { replyBytes } from "./bytes.js";
import { askForBytes } from "./chat.js";
import { area, button, failure, field, h } from "./dom.js";
import { jsonText } from "./model_settings.js";
import { expanded, variables } from "./prompts.js";
import { freeName, nameField } from "./quick_start.js";
import { may, store } from "./store.js";
import { structureFields } from "./structure.js";
import { t } from "./words.js";

/** @import { Structure } from "./prompts.js" */
/** @import { Chat } from "./store.js" */
/**
 * A task, as its deploy said it (GET /task/deploy).
 * @typedef {object} Order
 * @property {string} chat_name
 * @property {string} through
 * @property {string} system
 * @property {string} prompt
 * @property {Record<string, unknown>} options
 * @property {Record<string, unknown> & Structure} reply
 */

/** What a request to a chat may say of a task's options; others only its deploy can. */
const TRIED = ["temperature", "top_p", "max_tokens", "thinking"];
/** @type {Order} */
const NEW = { chat_name: "", through: "", system: "", prompt: "", options: {}, reply: {} };

/**
 * The dialog of a new task, or, with `row`, of what that task shall be from now on.
 * @param {Chat | null} row
 */
export async function deployTask(row = null) {
  /** @type {Order | null} */
  let now = null;
  if (row) {
    try {
      now = /** @type {Order} */ (await get(`task/deploy?chat_name=${encodeURIComponent(row.chat_name)}`));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // The page shows elsewhere what is wrong with the gateway; a task that is gone is gone from the page, too.
      return;
    }
  }
  const form = new TaskForm(now);
  form.say = actionDialog({
    title: () => (now ? t("taskChange", { chat: now.chat_name }) : t("taskTitle")),
    inputs: form.inputs,
    what: () => t(now ? "taskChangeWhat" : "taskWhat", { chat: form.name.value || "…", through: form.through.value }),
    verb: () => t(now ? "save" : "deploy"),
    broad: true,
    send: () => post("task/deploy", form.body()),
    done: () => t("taskDone", { chat: form.name.value, through: form.through.value }),
  });
}

class TaskForm {
  /** @type {Map<string, HTMLTextAreaElement>} */
  values = new Map();

  /** @param {Order | null} now */
  constructor(now) {
    this.now = now;
    const order = now ?? NEW;
    const { choices, fields, ...reply } = order.reply;
    this.say = () => {};
    const chats = store.models.filter((row) => !row.task).map((row) => row.chat_name);
    this.name = nameField(now?.chat_name ?? freeName("my_task"));
    this.name.readOnly = Boolean(now);
    this.through = h("select", { required: true }, ...chats.map((name) => h("option", { value: name }, name)));
    if (now) this.through.value = now.through;
    this.system = area(order.system, 2);
    this.prompt = area(order.prompt, 6, { required: true, placeholder: "Sort this mail of {{customer}}: {{content}}" });
    this.structure = structureFields(() => t("anyWords"), choices ? { choices } : fields ? { fields } : {});
    this.options = area(jsonText(order.options), 2, { placeholder: '{"temperature": 0}' });
    this.reply = area(jsonText(reply), 2, { placeholder: '{"format": "text"}' });
    this.inputs = [this.identity(), this.prompts(), ...this.answer(), ...(may("chat") ? [this.trial()] : [])];
  }

  identity() {
    const name = field(
      () => t("name"),
      this.name,
      this.now ? null : () => t("nameHint"),
    );
    return h("div", { class: "pair" }, name, field(() => t("answeredBy"), this.through));
  }

  /** The prompt, beside the one that is there now. */
  prompts() {
    const fresh = h(
      "div",
      {},
      field(
        () => t("system"),
        this.system,
        () => t("taskSystemHint"),
      ),
      field(
        () => t("prompt"),
        this.prompt,
        () => t("promptHint"),
      ),
    );
    if (!this.now) return fresh;
    const { system, prompt } = this.now;
    const old = h("div", { class: "code now" }, h("div", { class: "bar" }, () => t("thereNow")));
    old.append(h("pre", { tabIndex: 0, "aria-label": () => t("thereNow") }, [system, prompt].filter(Boolean).join("\n\n")));
    return h("div", { class: "halves" }, old, fresh);
  }

  answer() {
    return [
      h("div", { class: "pair" }, ...this.structure.elements),
      h(
        "details",
        { open: Boolean(this.options.value || this.reply.value) },
        h("summary", {}, () => t("more")),
        field(
          () => t("options"),
          this.options,
          () => t("optionsHint"),
        ),
        field(
          () => t("replyOptions"),
          this.reply,
          () => t("replyHint"),
        ),
      ),
    ];
  }

  /** An input for each variable, and what the model says to them. */
  trial() {
    this.variables = h("div", { class: "pair" });
    this.results = h("div", { class: "halves" });
    const tryIt = button(
      () => t("tryIt"),
      () => this.try(tryIt),
    );
    for (const text of [this.system, this.prompt]) text.addEventListener("input", () => this.showVariables());
    this.showVariables();
    return h(
      "fieldset",
      { class: "field trial" },
      h("legend", {}, () => t("tryFirst")),
      this.variables,
      h("div", { class: "row" }, tryIt),
      this.results,
    );
  }

  get names() {
    return variables(this.system.value, this.prompt.value, ...(this.now ? [this.now.system, this.now.prompt] : []));
  }

  /** What was typed stays with its variable's name, also while that is being written. */
  showVariables() {
    for (const name of this.names)
      if (!this.values.has(name)) this.values.set(name, area("", 1));
    const fields = this.names.map((name) => field(name, /** @type {HTMLElement} */ (this.values.get(name))));
    this.variables?.replaceChildren(...fields);
  }

  /** @param {HTMLElement} by the button */
  async try(by) {
    by.toggleAttribute("disabled", true);
    const trials = this.now ? [this.tryOld(this.now), this.tryNew()] : [this.tryNew()];
    this.results?.replaceChildren(h("p", { class: "note busy", role: "status" }, () => t("working")));
    this.results?.replaceChildren(...(await Promise.all(trials)));
    by.toggleAttribute("disabled", false);
    this.results?.scrollIntoView({ block: "center" });
  }

  /** @param {Order} now */
  tryOld({ chat_name, system, prompt }) {
    const names = variables(system, prompt);
    const values = Object.entries(this.given).filter(([name]) => names.includes(name));
    return shown(() => t("thereNow"), askForBytes(chat_name, Object.fromEntries(values)));
  }

  /** The chat is asked what the task would ask it. */
  tryNew() {
    const { through, system, prompt, choices, fields, options, reply } = this.body();
    const [settings, form] = [parsed(options), parsed(reply)];
    if (!settings || !form) return h("p", { class: "note bad", role: "alert" }, () => t("notJson"));
    const tried = Object.fromEntries(Object.entries(settings).filter(([name]) => TRIED.includes(name)));
    const question = { content: expanded(prompt, this.given), system: expanded(system, this.given), choices, fields };
    return shown(() => t("new"), askForBytes(through, { ...form, ...tried, ...question }));
  }

  /** @returns {Record<string, string>} */
  get given() {
    return Object.fromEntries([...this.values].map(([name, input]) => [name, input.value]));
  }

  body() {
    const { choices, fields } = this.structure.structure();
    const texts = { system: this.system.value, prompt: this.prompt.value, options: this.options.value.trim() };
    const names = { chat_name: this.name.value, through: this.through.value };
    return { ...names, ...texts, choices, fields, reply: this.reply.value.trim() };
  }
}

/**
 * What is said to a trial, under a title.
 * @param {() => string} title
 * @param {Promise<import("./chat.js").Reply>} reply
 */
async function shown(title, reply) {
  const heading = h("h3", {}, title);
  try {
    return h("div", { class: "tried" }, heading, replyBytes(await reply));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return h("div", { class: "tried" }, heading, failure(error));
  }
}

/**
 * An object that was typed as JSON; null where it is none.
 * @param {string} text
 * @returns {Record<string, unknown> | null}
 */
function parsed(text) {
  try {
    const value = JSON.parse(text || "{}");
    return value && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
