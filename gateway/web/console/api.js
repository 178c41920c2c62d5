// Owns the gateway's token and every request. Nothing but this page's own origin is asked, and no cookie is sent.

import { language, t } from "./words.js";

/**
 * What the gateway says no with. On /v1 there is a `param` too.
 * @typedef {object} Refusal
 * @property {string} code
 * @property {string} [message]
 * @property {string} [message_zh]
 * @property {string | null} [param]
 * @property {string | null} [provider_message]
 */

let token = sessionStorage.getItem("token") ?? "";

/**
 * Keep the token for as long as this tab is open; "" forgets it.
 * @param {string} given
 */
export function signIn(given) {
  token = given.trim();
  if (token) sessionStorage.setItem("token", token);
  else sessionStorage.removeItem("token");
}

export const signedIn = () => token !== "";

/** What the gateway said no with; `code` is NO_CONNECTION where it said nothing. */
export class Failure extends Error {
  /** @param {Refusal} error */
  constructor(error, status = 0) {
    super(error.code);
    this.code = error.code;
    this.status = status;
    this.param = error.param;
    this.theirs = error.provider_message;
    /** @type {number | null} */
    this.retryAfter = null;
    this.said = error;
  }

  words() {
    if (this.code === "NO_CONNECTION") return t("noConnection");
    return language() === "zh-CN" ? (this.said.message_zh ?? "") : (this.said.message ?? "");
  }
}

export const lost = () => new Failure({ code: "NO_CONNECTION" });

/** @param {unknown} error */
export const aborted = (error) => error instanceof DOMException && error.name === "AbortError";

/**
 * The seconds after which a reply says that it may be asked again; null: it says nothing of that.
 * @param {Response} reply
 */
export function retryAfter(reply) {
  const header = reply.headers.get("Retry-After") ?? "";
  return /^\d+$/.test(header) ? Number(header) : null;
}

/**
 * A request with the token; POST where there is a body. Throws Failure, or what an aborted signal throws.
 * @param {string} path
 * @param {object} [body]
 * @param {AbortSignal} [signal]
 * @param {string} [method]
 */
export async function send(path, body, signal, method = body === undefined ? "GET" : "POST") {
  // Bearer and nothing else: without it a browser would ask for a password by itself at 401, and send it for others.
  /** @type {Record<string, string>} */
  const headers = {};
  /** @type {RequestInit} */
  const options = { method, credentials: "omit", cache: "no-store", signal, headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  let reply;
  try {
    reply = await fetch(new URL(path, document.baseURI), options);
  } catch (error) {
    throw aborted(error) ? error : lost();
  }
  if (reply.ok) return reply;
  /** @type {{ error?: Refusal } | null} */
  const said = await reply.json().catch(() => null);
  signal?.throwIfAborted();
  if (!said?.error?.code) throw lost();
  const failure = new Failure(said.error, reply.status);
  failure.retryAfter = retryAfter(reply);
  throw failure;
}

/**
 * What a reply says; its connection may break, or something between say what is no JSON.
 * @param {Response} reply
 * @returns {Promise<unknown>}
 */
export async function parsed(reply) {
  try {
    return await reply.json();
  } catch (error) {
    throw aborted(error) ? error : lost();
  }
}

/**
 * A reply's body as it is.
 * @param {string} path
 * @param {object} [body]
 */
export async function getBlob(path, body) {
  const reply = await send(path, body);
  try {
    return await reply.blob();
  } catch (error) {
    throw aborted(error) ? error : lost();
  }
}

/**
 * @param {string} path
 * @returns {Promise<unknown>}
 */
export const get = async (path) => parsed(await send(path));

/**
 * @param {string} path
 * @param {object} body
 * @returns {Promise<unknown>}
 */
export const post = async (path, body) => parsed(await send(path, body));
