// Owns the small plot of a chat's recent requests and errors, from what was counted between polls.

import { h, svg } from "./dom.js";
import { store, WINDOW } from "./store.js";
import { reason, t } from "./words.js";

/** @import { Delta } from "./store.js" */

const BARS = 60;
const WIDTH = 4;
const HEIGHT = 32;

/**
 * The plot of one chat, as of now, and its figures in words.
 * @param {string} chat
 */
export function plot(chat) {
  const now = Date.now();
  const deltas = store.deltas.filter((delta) => delta.chat === chat);
  const good = spread(
    deltas.filter((delta) => delta.code === "OK"),
    now,
  );
  const bad = spread(
    deltas.filter((delta) => delta.code !== "OK"),
    now,
  );
  const most = Math.max(1, ...good.map((number, at) => number + bad[at]));
  const bars = good.flatMap((number, at) => [
    bar(at, number, bad[at], most, "good"),
    bar(at, bad[at], 0, most, "wrong"),
  ]);
  const drawn = svg(
    "svg",
    { viewBox: `0 0 ${BARS * WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("line", { x1: 0, x2: BARS * WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }),
    ...bars.filter((one) => one !== null),
  );
  return h(
    "div",
    { class: "plot" },
    drawn,
    h("p", { class: "hint" }, () => words(deltas)),
  );
}

/**
 * Counts by bar, the oldest first; what was counted over a longer time is spread over it.
 * @param {Delta[]} deltas
 * @param {number} now
 */
function spread(deltas, now) {
  const step = WINDOW / BARS;
  /** @type {number[]} */
  const bars = new Array(BARS).fill(0);
  for (const { number, from, to } of deltas) {
    for (let at = 0; at < BARS; at += 1) {
      const start = now - WINDOW + at * step;
      const overlap = Math.min(to, start + step) - Math.max(from, start);
      if (overlap > 0) bars[at] += (number * overlap) / Math.max(1, to - from);
    }
  }
  return bars;
}

/**
 * @param {number} at
 * @param {number} number
 * @param {number} below
 * @param {number} most
 * @param {"good" | "wrong"} kind
 */
function bar(at, number, below, most, kind) {
  if (number < 0.01) return null;
  const tall = (number / most) * (HEIGHT - 2);
  const y = HEIGHT - 1 - (below / most) * (HEIGHT - 2) - tall;
  return svg("rect", { x: at * WIDTH + 0.5, y, width: WIDTH - 1, height: tall, class: kind });
}

/** @param {Delta[]} deltas */
function words(deltas) {
  /** @param {Delta[]} some */
  const sum = (some) => some.reduce((total, delta) => total + delta.number, 0);
  const wrong = deltas.filter((delta) => delta.code !== "OK");
  const why = [...new Set(wrong.map((delta) => delta.code))].map(reason).join(t("comma"));
  const said = t("requests", { count: sum(deltas) });
  return wrong.length ? `${said}${t("comma")}${t("errors", { count: sum(wrong), why })}` : said;
}
