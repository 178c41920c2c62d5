// Owns the page: sign in, the views and how one goes from one to the other, the language and the theme.

import { askView } from "./ask.js";
import { lost, signedIn, signIn } from "./api.js";
import { button, failure, field, h, relabel } from "./dom.js";
import { listen, may, refresh, store, tellOnly } from "./store.js";
import { language, t } from "./words.js";

/** @typedef {"ask" | "bulk" | "run" | "usage" | "callers" | "code"} ViewName */

/**
 * The views. Only the first is there at once; the others are loaded when somebody goes there, or has nothing to do.
 * @type {{ id: ViewName, scope: string, load: () => Promise<() => HTMLElement> }[]}
 */
const VIEWS = [
  { id: "ask", scope: "chat", load: async () => askView },
  { id: "bulk", scope: "chat", load: async () => (await import("./bulk.js")).bulkView },
  { id: "run", scope: "admin", load: async () => (await import("./run.js")).runView },
  { id: "usage", scope: "", load: async () => (await import("./usage.js")).usageView },
  { id: "callers", scope: "admin", load: async () => (await import("./callers.js")).callersView },
  { id: "code", scope: "", load: async () => (await import("./code.js")).codeView },
];
/** So many ms after the first view the others are loaded, so that going there takes no time. */
const IDLE = 800;
const THEMES = /** @type {const} */ (["auto", "light", "dark"]);

const main = h("main", { id: "main", tabIndex: -1 });
const trouble = h("div", { class: "trouble" });
const links = h("nav", { "aria-label": () => t("views") });
const out = button(
  () => t("signOut"),
  () => leave(),
  "quiet",
);
/** @type {{ names?: string, current?: ViewName } & { [Name in ViewName]?: HTMLElement }} */
let made = {};
/** @type {{ answer: () => void } | null} */
let door = null;

function header() {
  const other = button(
    () => (language() === "en" ? "中文" : "English"),
    () => speak(language() === "en" ? "zh-CN" : "en"),
    "quiet",
  );
  other.lang = language() === "en" ? "zh-CN" : "en";
  const now = () => t(`theme_${THEMES[themeNow()]}`);
  const sign = h("span", { "aria-hidden": "true", text: () => "◐☀☾"[themeNow()] });
  const theme = h(
    "button",
    {
      type: "button",
      class: "button quiet",
      "aria-label": () => t("theme", { now: now() }),
      onclick: () => paint((themeNow() + 1) % THEMES.length),
    },
    sign,
    h("span", { class: "theme-words", text: () => ` ${now()}` }),
  );
  return h(
    "header",
    { class: "top" },
    h(
      "a",
      {
        class: "skip",
        href: "#main",
        onclick: (event) => {
          event.preventDefault();
          main.focus();
        },
      },
      () => t("skip"),
    ),
    h("span", { class: "brand" }, h("span", { class: "mark", "aria-hidden": "true" }), () => t("brand")),
    links,
    h("div", { class: "tools" }, other, theme, out),
  );
}

/** @param {"en" | "zh-CN"} to */
function speak(to) {
  localStorage.setItem("language", to);
  document.documentElement.lang = to;
  relabel();
  title();
}

const themeNow = () => Math.max(0, THEMES.findIndex((one) => one === document.documentElement.dataset.theme));

/** @param {number} to an index of THEMES */
function paint(to) {
  if (to === 0) {
    localStorage.removeItem("theme");
    delete document.documentElement.dataset.theme;
  } else {
    localStorage.setItem("theme", THEMES[to]);
    document.documentElement.dataset.theme = THEMES[to];
  }
  relabel();
}

// Who is there.

function leave() {
  signIn("");
  location.reload();
}

function knock() {
  out.hidden = true;
  if (door) {
    door.answer();
    return;
  }
  made = {};
  links.replaceChildren();
  const token = h("input", { type: "password", autocomplete: "current-password", required: true, spellcheck: "false" });
  const said = h("div", { class: "result" });
  const form = h(
    "form",
    {
      class: "door",
      onsubmit: async (event) => {
        event.preventDefault();
        signIn(token.value);
        await refresh();
      },
    },
    h("h1", {}, () => t("signInTitle")),
    h("p", {}, () => t("signInMore")),
    field(
      () => t("token"),
      token,
      () => t("tokenHint"),
    ),
    said,
    h("button", { class: "button primary" }, () => t("signIn")),
  );
  door = {
    answer: () => {
      if (!signedIn()) return;
      said.replaceChildren(
        h("p", { class: "note bad", role: "alert" }, h("strong", {}, "UNAUTHORIZED"), " ", () => t("wrongToken")),
      );
      signIn("");
      token.select();
    },
  };
  main.replaceChildren(form);
  token.focus();
  door.answer();
}

// The views.

function views() {
  return VIEWS.filter((view) => !view.scope || may(view.scope));
}

function title() {
  const view = views().find((one) => one.id === made.current);
  document.title = view ? `${t(view.id === "code" ? "code_" : view.id)} · ${t("brand")}` : t("brand");
}

async function show() {
  const there = views();
  const view = there.find((one) => `#${one.id}` === location.hash) ?? there[0];
  if (made.current === view.id) return;
  made.current = view.id;
  if (!made[view.id]) {
    const mine = made;
    /** @type {() => HTMLElement} */
    let make;
    try {
      make = await view.load();
    } catch {
      trouble.replaceChildren(failure(lost()));
      if (made === mine && made.current === view.id) made.current = undefined; // the next click tries again
      return;
    }
    if (made !== mine) return;
    made[view.id] ??= main.appendChild(make());
    if (made.current !== view.id) {
      /** @type {HTMLElement} */ (made[view.id]).hidden = true;
      return;
    }
  }
  for (const one of there) {
    const element = made[one.id];
    if (element) element.hidden = one !== view;
  }
  for (const link of links.querySelectorAll("a")) {
    if (link.hash === `#${view.id}`) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a phone they do not fit
    } else link.removeAttribute("aria-current");
  }
  title();
  scrollTo(0, 0);
}

function update() {
  const { failure: error } = store;
  if (error?.status === 401) {
    trouble.replaceChildren();
    knock();
    return;
  }
  if (!error) trouble.replaceChildren();
  else if (trouble.dataset.code !== error.code || !trouble.hasChildNodes()) trouble.replaceChildren(failure(error));
  trouble.dataset.code = error?.code ?? "";
  if (!store.ready) return;
  const names = views()
    .map((view) => view.id)
    .join();
  if (door || made.names !== names) {
    door = null;
    made = { names };
    tellOnly(update);
    main.replaceChildren();
    links.replaceChildren(
      ...views().map((view) => h("a", { href: `#${view.id}` }, () => t(view.id === "code" ? "code_" : view.id))),
    );
    show();
    setTimeout(() => Promise.allSettled(views().map((view) => view.load())), IDLE);
  }
  out.hidden = !signedIn();
}

out.hidden = true;
document.body.append(header(), trouble, main);
addEventListener("hashchange", () => made.names !== undefined && show());
listen(update);
title();
refresh();
