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

/** @typedef {{ role: "system" | "user" | "assistant", content: string }} Message */
/**
 * What is asked of a chat. `values` are a task's variables other than `content`; "" is not given.
 * @typedef {object} Question
 * @property {string} content
 * @property {Message[]} history
 * @property {Record<string, string>} values
 * @property {string} system
 * @property {string} temperature
 * @property {string} thinking
 * @property {import("./prompts.js").Structure} structure
 */
/**
 * A reply as a program gets it. `size` is in bytes.
 * @typedef {{ text: string, size: number, status: number, type: string, tokens: number | null } & Served} Reply
 */
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
async function parsed(reply) {
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

/**
 * One answer, told to `speak` piece by piece. `begun` gets what is returned, without its usage, when the first word is
 * there. Throws Failure; aborting throws AbortError.
 * @param {string} chat
 * @param {Question} question
 * @param {AbortSignal} signal
 * @param {(told: Served) => void} begun
 * @param {(words: string) => void} speak
 * @returns {Promise<Served & { usage?: Usage | null }>}
 */
export async function ask(chat, question, signal, begun, speak) {
  // On /v1 whatever it does not know goes through, and each provider has its own word for thinking.
  const reply = question.thinking ? await askForText(chat, question, signal) : await askForEvents(chat, question, signal);
  const told = servedBy(reply);
  const type = reply.headers.get("Content-Type") ?? "";
  if (type.startsWith("text/plain") && !told.servedBy) throw plainFailure(await reply.text());
  begun(told);
  if (!reply.body || type.startsWith("application/json")) {
    const whole = /** @type {Whole} */ (await parsed(reply));
    speak(whole.choices[0].message.content ?? "");
    return { ...told, usage: whole.usage };
  }
  if (type.startsWith("text/plain")) {
    for await (const words of pieces(reply.body)) speak(words);
    return told;
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
 * One reply, whole, and just as a program gets it. Throws Failure; aborting throws AbortError.
 * @param {string} chat
 * @param {Record<string, unknown>} fields what is said beside its name
 * @param {AbortSignal} [signal]
 * @returns {Promise<Reply>}
 */
export async function askForBytes(chat, fields, signal) {
  const reply = await send("task/chat", { chat_name: chat, ...fields }, signal);
  let bytes;
  try {
    bytes = await reply.arrayBuffer();
  } catch (error) {
    throw aborted(error) ? error : lost();
  }
  const type = reply.headers.get("Content-Type") ?? "";
  const tokens = reply.headers.get("X-Tokens-Out");
  return {
    text: decoded(bytes, type),
    size: bytes.byteLength,
    status: reply.status,
    type,
    tokens: tokens === null ? null : Number(tokens),
    ...servedBy(reply),
  };
}

/**
 * A question as /<provider>/chat takes it: what was not given is left out.
 * @param {Question} question
 * @returns {Record<string, unknown>}
 */
export function fieldsOf({ content, history, values, system, temperature, thinking, structure }) {
  const given = Object.entries({ content, system, temperature, thinking }).filter(([, value]) => value !== "");
  return { ...values, ...Object.fromEntries(given), ...structure, ...(history.length ? { history } : {}) };
}

/** @type {(chat: string, question: Question, signal: AbortSignal) => Promise<Response>} */
const askForText = (chat, question, signal) =>
  send(
    "task/chat",
    { chat_name: chat, ...fieldsOf(question), stream: true, format: "text", charset: "utf-8", eol: "lf" },
    signal,
  );

/** @type {(chat: string, question: Question, signal: AbortSignal) => Promise<Response>} */
async function askForEvents(chat, { content, history, values, system, temperature }, signal) {
  /** @type {Message[]} */
  const first = system ? [{ role: "system", content: system }] : [];
  const messages = [...first, ...history, { role: "user", content }];
  const body = { ...values, model: chat, messages, ...(temperature ? { temperature: Number(temperature) } : {}) };
  try {
    const counted = { stream: true, stream_options: { include_usage: true } };
    return await send("v1/chat/completions", { ...body, ...counted }, signal);
  } catch (error) {
    if (!(error instanceof Failure) || error.param !== "stream") throw error;
    // A chat that stock byzerllm deployed: it answers in one piece.
    return send("v1/chat/completions", body, signal);
  }
}

/**
 * @param {Response} reply
 * @returns {Served}
 */
function servedBy({ headers }) {
  const [chat, fellBack, model] = ["X-Served-By", "X-Fell-Back", "X-Provider-Model"].map((name) => headers.get(name));
  return { servedBy: chat, fellBack, model };
}

/**
 * What a chat says no with whose replies have the status 200, whatever they say.
 * @param {string} text
 */
export function plainFailure(text) {
  const [, code = "INTERNAL", message = text] = /^ERROR (\w+): ([^]*)$/.exec(text) ?? [];
  return new Failure({ code, message, message_zh: message });
}

/**
 * Bytes as text, in the charset that a content type says.
 * @param {ArrayBuffer} bytes
 * @param {string} type
 */
function decoded(bytes, type) {
  const charset = /charset=([\w-]+)/.exec(type)?.[1] ?? "utf-8";
  try {
    return new TextDecoder(charset, { ignoreBOM: true }).decode(bytes);
  } catch {
    return new TextDecoder("latin1").decode(bytes); // a charset that no browser knows
  }
}

/**
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @returns {AsyncGenerator<string>}
 */
async function* pieces(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      throw aborted(error) ? error : lost();
    }
    if (piece.done) return;
    yield piece.value;
  }
}

/**
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @returns {AsyncGenerator<Chunk>}
 */
async function* chunks(body) {
  let rest = "";
  for await (const piece of pieces(body)) {
    const events = (rest + piece).split("\n\n");
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
  }
  throw lost();
}
