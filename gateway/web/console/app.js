// Owns the page: sign in, the views and how one goes from one to the other, the language and the theme.

import { askView } from "./ask.js";
import { signedIn, signIn } from "./api.js";
import { codeView } from "./code.js";
import { button, failure, field, h, relabel } from "./dom.js";
import { runView } from "./run.js";
import { listen, may, refresh, store, tellOnly } from "./store.js";
import { usageView } from "./usage.js";
import { language, t } from "./words.js";

/** @typedef {"ask" | "run" | "usage" | "code"} ViewName */

/** @type {{ id: ViewName, scope: string, make: () => HTMLElement }[]} */
const VIEWS = [
  { id: "ask", scope: "chat", make: askView },
  { id: "run", scope: "admin", make: runView },
  { id: "usage", scope: "", make: usageView },
  { id: "code", scope: "", make: codeView },
];
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

function show() {
  const there = views();
  const view = there.find((one) => `#${one.id}` === location.hash) ?? there[0];
  if (made.current === view.id) return;
  made[view.id] ??= main.appendChild(view.make());
  for (const one of there) {
    const element = made[one.id];
    if (element) element.hidden = one !== view;
  }
  made.current = view.id;
  for (const link of links.querySelectorAll("a")) {
    if (link.hash === `#${view.id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
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
  }
  out.hidden = !signedIn();
}

out.hidden = true;
document.body.append(header(), trouble, main);
addEventListener("hashchange", () => made.current && show());
listen(update);
title();
refresh();
