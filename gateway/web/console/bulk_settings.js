// Owns what is asked in Bulk: how the file is read, which chat, and which column is which variable.

import { button, field, h, tick } from "./dom.js";
import { asks, isWords, structureOf } from "./prompts.js";
import { preview } from "./bulk_rows.js";
import { listen, model, store } from "./store.js";
import { structureFields } from "./structure.js";
import { number, t } from "./words.js";

/** @import { Plan, Table } from "./bulk_store.js" */
/** @import { Words } from "./dom.js" */
/** @typedef {{ name: string, file: string, header: boolean, charset: string, delimiter: string }} Source a file, and how it is read */

const CHARSETS = ["utf-8", "gbk", "big5", "shift_jis", "euc-kr", "windows-1252", "utf-16"];
/** @type {[string, Words][]} */
const DELIMITERS = [
  [",", ","],
  [";", ";"],
  ["\t", () => t("tab")],
  ["|", "|"],
];
const FIRST = 5;
const TRIED = 3;
const MOST_AT_ONCE = 4; // a browser opens six connections, and the page needs some itself

/** @param {string} text */
const plain = (text) => text.trim().toLowerCase();

export class BulkSettings {
  /** @type {Map<string, HTMLSelectElement>} */
  columns = new Map();
  places = h("div", { class: "pair" });
  about = h("p", { class: "hint" });
  form = structureFields(() => t("anyWords"));
  formPair = h("div", { class: "pair" }, ...this.form.elements);
  chat = h("select", { required: true, onchange: () => this.showChat() });
  atOnce = h(
    "select",
    {},
    ...Array.from({ length: MOST_AT_ONCE }, (_, at) => h("option", { value: at + 1, selected: at + 1 === MOST_AT_ONCE }, String(at + 1))),
  );

  /**
   * @param {Source} source
   * @param {Table} table
   * @param {(source: Source) => void} readAgain
   * @param {(until: number) => void} start
   * @param {() => void} remove
   */
  constructor(source, table, readAgain, start, remove) {
    this.source = source;
    this.table = table;
    const total = table.rows.length;
    /** @type {(by: Partial<Source>) => void} */
    const again = (by) => readAgain({ ...source, ...by });
    const form = h(
      "form",
      {
        class: "bulk-form",
        onsubmit: (event) => {
          event.preventDefault();
          const by = /** @type {HTMLElement | null} */ (event.submitter);
          start(by?.dataset.until ? Number(by.dataset.until) : total);
        },
      },
      this.reading(again),
      preview(table.columns, table.rows.slice(0, FIRST)),
      h("div", { class: "pair" }, field(() => t("whomRows"), this.chat), field(() => t("atOnce"), this.atOnce)),
      this.about,
      h("fieldset", { class: "field" }, h("legend", {}, () => t("whichColumn")), this.places),
      this.formPair,
      h(
        "div",
        { class: "row" },
        total > TRIED ? h("button", { class: "button", "data-until": TRIED }, () => t("tryRows", { count: TRIED })) : null,
        h("button", { class: "button primary" }, () => t("runRows", { count: total, shown: number(total) })),
        button(() => t("removeTable"), remove, "quiet"),
      ),
    );
    this.element = form;
    this.chats = "";
    /** To be called when it is no longer there. */
    this.end = listen(() => this.showChats());
  }

  /** @param {(by: Partial<Source>) => void} again */
  reading(again) {
    const { source, table } = this;
    const { charset, delimiter } = table;
    const rows = { count: table.rows.length, shown: number(table.rows.length) };
    const words = () =>
      charset ? t("readAs", { ...rows, charset, delimiter: delimiter === "\t" ? t("tab") : delimiter }) : t("readAsExcel", rows);
    /** @type {HTMLSelectElement} */
    const charsets = h(
      "select",
      { onchange: () => again({ charset: charsets.value }) },
      h("option", { value: "", text: () => t("asFound") }),
      ...CHARSETS.map((name) => h("option", { value: name, selected: name === source.charset }, name)),
    );
    /** @type {HTMLSelectElement} */
    const delimiters = h(
      "select",
      { onchange: () => again({ delimiter: delimiters.value }) },
      h("option", { value: "", text: () => t("asFound") }),
      ...DELIMITERS.map(([sign, name]) => h("option", { value: sign, selected: sign === source.delimiter, text: name })),
    );
    /** @type {HTMLInputElement} */
    const header = h("input", { type: "checkbox", checked: source.header, onchange: () => again({ header: header.checked }) });
    return h(
      "div",
      {},
      h("p", {}, h("strong", {}, source.name), " ", words),
      h(
        "details",
        {},
        h("summary", {}, () => t("readOtherwise")),
        charset ? h("div", { class: "pair" }, field(() => t("charset"), charsets), field(() => t("delimiter"), delimiters)) : null,
        tick(() => t("headerRow"), header),
      ),
    );
  }

  showChats() {
    const names = [...store.models]
      .sort((one, other) => Number(Boolean(other.task)) - Number(Boolean(one.task)))
      .map((row) => row.chat_name);
    if (this.chats === names.join()) return;
    this.chats = names.join();
    const kept = this.chat.value;
    this.chat.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
    if (names.includes(kept)) this.chat.value = kept;
    this.showChat();
  }

  /** What the chosen chat asks of a row, and what it answers. */
  showChat() {
    const row = model(this.chat.value);
    const names = asks(row);
    const { choices, fields } = structureOf(row);
    this.about.replaceChildren(
      h("span", {}, () => (row?.task ? t("taskRows", { chat: row.task.through }) : t("plainChat"))),
      choices ? h("span", {}, () => ` ${t("answersOneOf", { choices: choices.join(t("comma")) })}`) : "",
      fields ? h("span", {}, () => ` ${t("answersFields", { fields: fields.join(t("comma")) })}`) : "",
    );
    this.formPair.hidden = !isWords({ choices, fields });
    this.columns = new Map(names.map((name) => [name, this.columnSelect(name, names.length === 1)]));
    this.places.replaceChildren(...[...this.columns].map(([name, select]) => field(name, select)));
  }

  /** @type {(name: string, alone: boolean) => HTMLSelectElement} */
  columnSelect(name, alone) {
    const { columns } = this.table;
    const same = columns.findIndex((title) => plain(title) === plain(name));
    const select = h(
      "select",
      { required: true },
      h("option", { value: "", text: () => t("chooseColumn") }),
      ...columns.map((title, at) => h("option", { value: at }, title || String(at + 1))),
    );
    if (same >= 0) select.value = String(same);
    else if (alone && columns.length === 1) select.value = "0";
    return select;
  }

  /** @returns {Plan} */
  plan() {
    const row = model(this.chat.value);
    const own = structureOf(row);
    const structure = isWords(own) ? this.form.structure() : {};
    const { fields } = isWords(own) ? structure : own;
    return {
      ...this.source,
      table: this.table,
      id: [...crypto.getRandomValues(new Uint32Array(3))].map((part) => part.toString(36)).join(""),
      chat: this.chat.value,
      places: Object.fromEntries([...this.columns].map(([name, select]) => [name, Number(select.value)])),
      structure,
      names: fields ? fields.map((name) => name.split(":")[0].trim()) : ["answer"],
      fields: Boolean(fields),
      atOnce: Number(this.atOnce.value),
      seconds: 0,
    };
  }
}
