// Owns what the ledger knows of each chat: requests and errors of the last 30 days and in all, how long answers took, and
// when it could not answer, why, and who answered meanwhile.

import { Failure, get } from "./api.js";
import { button, h, svg } from "./dom.js";
import { daysOf, iso } from "./period.js";
import { ago, lasting, number, reason, t, time } from "./words.js";

/**
 * @typedef {{ day: string, chat: string, requests: number, errors: number }} DayRow of GET /usage?by=day,chat
 * @typedef {{ chat: string, requests: number, errors: number, fell_back: number, seconds: { p50: number, p99: number } | null }} ChatRow
 */
/**
 * When a chat could not answer, as GET /rests tells it. Times are Unix times; `until` null: it has not answered since.
 * @typedef {object} Rest
 * @property {string} chat_name
 * @property {string} code
 * @property {number} since
 * @property {number | null} until
 * @property {number} requests
 * @property {Record<string, number>} answered_by
 */

const DAYS = 30;
/** Before any ledger began. */
const LONG_AGO = "2020-01-01";
const EVERY = 60_000;
const FEW = 3;
const WIDTH = 8;
const HEIGHT = 32;

/** What was told last; `none`: no ledger is kept, or it cannot be read. */
export class Past {
  /** @type {string[]} */
  days = [];
  /** @type {DayRow[]} */
  byDay = [];
  /** @type {ChatRow[]} */
  byChat = [];
  /** @type {ChatRow[]} since the ledger began */
  inAll = [];
  /** @type {Rest[]} */
  rests = [];
  /** @type {Failure | null} */
  none = null;

  /**
   * Look now and each minute while `element` is seen, and tell `changed` of it.
   * @param {HTMLElement} element
   * @param {() => void} changed
   */
  constructor(element, changed) {
    this.changed = changed;
    const look = () => {
      if (!element.hidden && element.isConnected && !document.hidden) this.load();
    };
    addEventListener("hashchange", () => setTimeout(look));
    setInterval(look, EVERY);
    this.load();
  }

  async load() {
    const now = new Date();
    const from = iso(new Date(now.getFullYear(), now.getMonth(), now.getDate() - DAYS + 1));
    const days = `from=${from}&to=${iso(now)}`;
    try {
      const ever = `from=${LONG_AGO}`;
      const [byDay, byChat, inAll, rests] =
        /** @type {[{ usage: DayRow[] }, { usage: ChatRow[] }, { usage: ChatRow[] }, { rests: Rest[] }]} */ (
          await Promise.all([
            get(`usage?by=day,chat&${days}`),
            get(`usage?by=chat&${days}`),
            get(`usage?by=chat&${ever}`),
            get(`rests?${ever}`),
          ])
        );
      this.days = daysOf(from, iso(now));
      Object.assign(this, { byDay: byDay.usage, byChat: byChat.usage, inAll: inAll.usage, rests: rests.rests, none: null });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.none = error;
    }
    this.changed();
  }

  /**
   * A chat's past, to stand on its card.
   * @param {string} chat
   */
  shown(chat) {
    if (this.none) return this.none.code === "INVALID_REQUEST" ? [h("p", { class: "hint" }, () => t("noLedger"))] : [];
    const rests = this.rests.filter((rest) => rest.chat_name === chat);
    return [this.plot(chat), ...(rests.length ? [restList(rests)] : [])];
  }

  /** @param {string} chat */
  plot(chat) {
    const rows = new Map(this.byDay.filter((row) => row.chat === chat).map((row) => [row.day, row]));
    const most = Math.max(1, ...[...rows.values()].map((row) => row.requests));
    const bars = this.days.flatMap((date, at) => {
      const row = rows.get(date);
      return row ? [bar(at, row.requests - row.errors, row.errors, most, "good"), bar(at, row.errors, 0, most, "wrong")] : [];
    });
    const size = { viewBox: `0 0 ${DAYS * WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" };
    const ground = svg("line", { x1: 0, x2: DAYS * WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 });
    const [sums, all] = [this.byChat, this.inAll].map((some) => some.find((row) => row.chat === chat));
    const earlier = all && all.requests > (sums?.requests ?? 0);
    return h(
      "div",
      { class: "plot" },
      svg("svg", size, ground, ...bars.filter((one) => one !== null)),
      h("p", { class: "hint" }, () => (sums ? words(t("requestsInDays", counted(sums)), sums) : t("nothingInDays", { days: DAYS }))),
      earlier ? h("p", { class: "hint" }, () => words(t("requestsInAll", counted(all)), all)) : null,
    );
  }
}

/** @type {(at: number, count: number, below: number, most: number, kind: string) => SVGElement | null} */
function bar(at, count, below, most, kind) {
  if (!count) return null;
  const tall = Math.max((count / most) * (HEIGHT - 2), 1);
  const y = HEIGHT - 1 - (below / most) * (HEIGHT - 2) - tall;
  return svg("rect", { x: at * WIDTH + 0.5, y, width: WIDTH - 1, height: tall, class: kind });
}

/** @param {ChatRow} row */
const counted = ({ requests }) => ({ count: requests, shown: number(requests), days: DAYS });

/**
 * @param {string} first
 * @param {ChatRow} sums
 */
function words(first, sums) {
  const parts = [first];
  if (sums.errors) parts.push(t("errorsInDays", { count: sums.errors, shown: number(sums.errors) }));
  if (sums.fell_back) parts.push(t("fellBackInDays", { count: sums.fell_back, shown: number(sums.fell_back) }));
  if (sums.seconds) parts.push(t("took", { p50: seconds(sums.seconds.p50), p99: seconds(sums.seconds.p99) }));
  return parts.join(t("comma"));
}

/** @param {number} value */
const seconds = (value) => (value < 1 ? `${number(value * 1000)} ms` : `${number(value, value < 10 ? 1 : 0)} s`);

/**
 * The newest few, and the others when they are asked for.
 * @param {Rest[]} rests the newest first
 */
function restList(rests) {
  const list = h("ul", { class: "rests" }, ...rests.slice(0, FEW).map(restLine));
  const left = rests.slice(FEW);
  const more = button(
    () => t("moreRests", { count: left.length }),
    () => {
      list.append(...left.map(restLine));
      more.remove();
    },
    "quiet",
  );
  return h("div", {}, h("h3", { class: "hint" }, () => t("couldNotAnswer")), list, left.length ? more : null);
}

/** @param {Rest} rest */
function restLine({ code, since, until, requests, answered_by }) {
  const span = () => (until === null ? t("stillSince", { since: ago(since) }) : lasting(until - since));
  const names = Object.entries(answered_by);
  const others = () =>
    names.length
      ? t("meanwhile", { who: names.map(([name, count]) => `${name} (${number(count)})`).join(t("comma")) })
      : t("meanwhileNobody", { count: requests, shown: number(requests) });
  return h(
    "li",
    {},
    h("time", { datetime: new Date(since * 1000).toISOString() }, () => time(since * 1000)),
    () => `${t("comma")}${span()}${t("colon")}${reason(code)}${t("stop_")}${t("gap")}`,
    others,
  );
}

