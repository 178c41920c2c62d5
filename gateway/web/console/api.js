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

/** @typedef {{ role: "user" | "assistant", content: string }} Message */
/** @typedef {{ completion_tokens?: number, estimated?: boolean }} Usage */
/** @typedef {{ servedBy: string | null, fellBack: string | null, model: string | null }} Served who answered */
/**
 * An answer in one piece.
 * @typedef {object} Whole
 * @property {{ message: { content?: string | null } }[]} choices
 * @property {Usage | null} [usage]
 */

/**
 * A piece of an answer that comes as events.
 * @typedef {object} Chunk
 * @property {Refusal} [error]
 * @property {{ delta?: { content?: string | null } }[]} [choices]
 * @property {Usage | null} [usage]
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
    this.said = error;
  }

  words() {
    if (this.code === "NO_CONNECTION") return t("noConnection");
    return language() === "zh-CN" ? (this.said.message_zh ?? "") : (this.said.message ?? "");
  }
}

const lost = () => new Failure({ code: "NO_CONNECTION" });

/** @param {unknown} error */
export const aborted = (error) => error instanceof DOMException && error.name === "AbortError";

/**
 * A request with the token; POST where there is a body. Throws Failure, or what an aborted signal throws.
 * @param {string} path
 * @param {object} [body]
 * @param {AbortSignal} [signal]
 */
async function request(path, body, signal) {
  // Bearer and nothing else: without it a browser would ask for a password by itself at 401, and send it for others.
  /** @type {Record<string, string>} */
  const headers = {};
  /** @type {RequestInit} */
  const options = { credentials: "omit", cache: "no-store", signal, headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) {
    options.method = "POST";
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
  throw said?.error?.code ? new Failure(said.error, reply.status) : lost();
}

/**
 * What a reply says; its connection may break, or something between say what is no JSON.
 * @param {Response} reply
 * @returns {Promise<unknown>}
 */
async function parsed(reply) {
  try {
    return await reply.json();
  } catch (error) {
    throw aborted(error) ? error : lost();
  }
}

/**
 * @param {string} path
 * @returns {Promise<unknown>}
 */
export const get = async (path) => parsed(await request(path));

/**
 * @param {string} path
 * @param {object} body
 * @returns {Promise<unknown>}
 */
export const post = async (path, body) => parsed(await request(path, body));

/**
 * One answer, told to `speak` piece by piece. `begun` gets what is returned, without its usage, when the first word is
 * there. Throws Failure; aborting throws AbortError.
 * @param {string} chat
 * @param {Message[]} messages
 * @param {AbortSignal} signal
 * @param {(told: Served) => void} begun
 * @param {(words: string) => void} speak
 * @returns {Promise<Served & { usage?: Usage | null }>}
 */
export async function ask(chat, messages, signal, begun, speak) {
  const body = { model: chat, messages, stream: true, stream_options: { include_usage: true } };
  /** @type {Response} */
  let reply;
  try {
    reply = await request("v1/chat/completions", body, signal);
  } catch (error) {
    if (!(error instanceof Failure) || error.param !== "stream") throw error;
    // A chat that stock byzerllm deployed: it answers in one piece.
    reply = await request("v1/chat/completions", { model: chat, messages }, signal);
  }
  /** @param {string} name */
  const header = (name) => reply.headers.get(name);
  const told = { servedBy: header("X-Served-By"), fellBack: header("X-Fell-Back"), model: header("X-Provider-Model") };
  begun(told);
  if (!reply.body || !header("Content-Type")?.startsWith("text/event-stream")) {
    const whole = /** @type {Whole} */ (await parsed(reply));
    speak(whole.choices[0].message.content ?? "");
    return { ...told, usage: whole.usage };
  }
  let usage = null;
  for await (const chunk of chunks(reply.body)) {
    if (chunk.error) throw new Failure(chunk.error);
    usage = chunk.usage ?? usage;
    const words = chunk.choices?.[0]?.delta?.content;
    if (words) speak(words);
  }
  return { ...told, usage };
}

/**
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @returns {AsyncGenerator<Chunk>}
 */
async function* chunks(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      throw aborted(error) ? error : lost();
    }
    const events = (rest + (piece.value ?? "")).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      const data = event
        .split("\n")
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5))
        .join("\n");
      if (data.trim() === "[DONE]") return;
      if (data) yield JSON.parse(data);
    }
    if (piece.done) throw lost();
  }
}
