// Owns how a chat is asked: piece by piece, as the page shows it, or whole, just as a program gets it.

import { aborted, Failure, lost, parsed, send } from "./api.js";

/** @import { Refusal } from "./api.js" */
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
