// Owns how something is done to a chat: what will happen is said first, then it is done, then what came of it is said.

import { Failure, post } from "./api.js";
import { button, dialog, failure, h } from "./dom.js";
import { listen, model, refresh, store } from "./store.js";
import { t } from "./words.js";

/** @import { Words } from "./dom.js" */
/** @import { Chat } from "./store.js" */
/** @typedef {Pick<Chat, "provider" | "model_name" | "host"> & { task?: Chat["task"] }} Behind what answers at a chat */

/**
 * A dialog that does one thing. `what` says what will happen; `inputs` stand above it; `send` does it, and `done` says
 * what came of it, after the chats were looked at again. Returns what says anew what will happen.
 * @param {object} action
 * @param {Words} action.title
 * @param {() => string} action.what
 * @param {HTMLElement[]} [action.inputs]
 * @param {Words} action.verb
 * @param {boolean} [action.danger]
 * @param {boolean} [action.broad] whether it takes more of the window
 * @param {() => Promise<unknown>} action.send
 * @param {() => string} action.done
 */
export function actionDialog({ title, what, inputs = [], verb, danger = false, broad = false, send, done }) {
  const note = h("p", { class: "note what", "aria-live": "polite" });
  const say = () => {
    if (note.textContent !== what()) note.replaceChildren(h("span", { text: what }));
  };
  const result = h("div", { class: "result" });
  const submit = h("button", { class: `button ${danger ? "danger" : "primary"}` }, verb);
  const box = dialog(title, (close) => {
    const cancel = button(() => t("cancel"), close);
    const form = h(
      "form",
      {
        oninput: say,
        onsubmit: async (event) => {
          event.preventDefault();
          submit.disabled = true;
          result.replaceChildren(h("p", { class: "note busy", role: "status" }, () => t("working")));
          try {
            await send();
            await refresh();
            const closer = button(() => t("close"), close, "primary");
            form.replaceChildren(
              h("p", { class: "note good", role: "status" }, done),
              h("div", { class: "row end" }, closer),
            );
            closer.focus();
          } catch (error) {
            if (!(error instanceof Failure)) throw error;
            result.replaceChildren(failure(error));
          }
          submit.disabled = false;
        },
      },
      inputs,
      h("div", { class: "foot" }, note, result, h("div", { class: "row end" }, cancel, submit)),
    );
    say();
    return form;
  });
  box.classList.toggle("broad", broad);
  // Another operator may change a chat while this one reads what will happen.
  box.addEventListener("close", listen(say));
  return say;
}

/**
 * A chat's provider and model, as people say it.
 * @param {Behind} row
 */
export const behind = (row) =>
  row.task
    ? t("promptThrough", { chat: row.task.through })
    : [t(`provider_${row.provider}`) || row.provider, row.model_name].filter(Boolean).join(" ");

/**
 * The same, and its host where that is not the provider's own.
 * @param {Behind} row
 */
export function through(row) {
  const own = store.providers.find((one) => one.name === row.provider)?.base_url;
  return row.host && row.host !== hostOf(own) ? t("at", { now: behind(row), host: row.host }) : behind(row);
}

/**
 * An address's host and port; null where there is none.
 * @param {string} [address]
 */
export const hostOf = (address) => (address && URL.canParse(address) ? new URL(address).host : null);

/** @param {"undo" | "undeploy" | "fallback"} verb */
const route = (verb) => `${store.providers[0].name}/${verb}`;

/** @param {Chat} row */
export function undo(row) {
  actionDialog({
    title: () => t("undoTitle", { chat: row.chat_name }),
    what: () => t("undoWhat", { chat: row.chat_name, now: through(row) }),
    verb: () => t("undo"),
    send: () => post(route("undo"), { chat_name: row.chat_name }),
    done: () => t("answersThrough", { chat: row.chat_name, now: through(model(row.chat_name) ?? row) }),
  });
}

/** @param {Chat} row */
export function undeploy(row) {
  const leaning = () =>
    store.models.filter((other) => other.fallback.includes(row.chat_name)).map((other) => other.chat_name);
  actionDialog({
    title: () => t("undeployTitle", { chat: row.chat_name }),
    what: () =>
      [
        t("undeployWhat", { chat: row.chat_name }),
        leaning().length ? t("undeployLeaning", { chats: leaning().join(t("comma")) }) : "",
      ].join(t("gap")),
    verb: () => t("undeploy"),
    danger: true,
    send: () => post(route("undeploy"), { chat_name: row.chat_name }),
    done: () => t("undeployDone", { chat: row.chat_name }),
  });
}

/** @param {Chat} row */
export function editChain(row) {
  const editor = chainEditor(row.chat_name, row.fallback);
  const say = actionDialog({
    title: () => t("chainTitle", { chat: row.chat_name }),
    inputs: [editor.element],
    what: () => chainWords(row.chat_name, editor.chain()),
    verb: () => t("save"),
    send: () => post(route("fallback"), { chat_name: row.chat_name, fallback: editor.chain() }),
    done: () => chainWords(row.chat_name, model(row.chat_name)?.fallback ?? []),
  });
  editor.changed = say;
}

/**
 * @param {string} chat
 * @param {string[]} chain
 */
const chainWords = (chat, chain) =>
  chain.length ? t("chainWhat", { chat, chain: chain.join(" → ") }) : t("chainNone", { chat });

/**
 * The chats that stand in, in their order. `changed` is called when they are others.
 * @param {string} chat
 * @param {string[]} first
 */
export function chainEditor(chat, first) {
  const names = [...first];
  const list = h("ol", { class: "chain" });
  const more = h("select", { "aria-label": () => t("chainAdd") });
  const editor = {
    element: h(
      "fieldset",
      { class: "field" },
      h("legend", {}, () => t("chain")),
      list,
      more,
    ),
    chain: () => [...names],
    changed: () => {},
  };
  /** @type {(at: number, to: number | null) => void} */
  const move = (at, to) => {
    const [name] = names.splice(at, 1);
    if (to !== null) names.splice(to, 0, name);
    draw();
    /** @type {HTMLElement | null} */
    const next = list.querySelector("button:not(:disabled)");
    (next ?? more).focus();
  };
  /** @type {(sign: string, words: () => string, disabled: boolean, onclick: () => void) => HTMLElement} */
  const tool = (sign, words, disabled, onclick) =>
    h("button", { type: "button", class: "button quiet", disabled, onclick, "aria-label": words }, sign);

  function draw() {
    list.replaceChildren(
      ...names.map((name, at) =>
        h(
          "li",
          {},
          h("span", {}, name),
          tool(
            "↑",
            () => t("earlier", { chat: name }),
            at === 0,
            () => move(at, at - 1),
          ),
          tool(
            "↓",
            () => t("later", { chat: name }),
            at === names.length - 1,
            () => move(at, at + 1),
          ),
          tool(
            "✕",
            () => t("takeOut", { chat: name }),
            false,
            () => move(at, null),
          ),
        ),
      ),
    );
    const left = store.models.map((row) => row.chat_name).filter((name) => name !== chat && !names.includes(name));
    more.replaceChildren(
      h("option", { value: "", text: () => t(left.length ? "chainAdd" : "chainNoMore") }),
      ...left.map((name) => h("option", { value: name }, name)),
    );
    more.disabled = left.length === 0;
    editor.changed();
  }

  more.addEventListener("change", () => {
    if (more.value) names.push(more.value);
    draw();
  });
  draw();
  return editor;
}
