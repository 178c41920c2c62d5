// Owns the gateway's token and every request. Nothing but this page's own origin is asked, and no cookie is sent.

import { language, t } from "./words.js";

let token = sessionStorage.getItem("token") ?? "";

/** Keep the token for as long as this tab is open; "" forgets it. */
export function signIn(given) {
  token = given.trim();
  if (token) sessionStorage.setItem("token", token);
  else sessionStorage.removeItem("token");
}

export const signedIn = () => token !== "";

/** What the gateway said no with; `code` is NO_CONNECTION where it said nothing. */
export class Failure extends Error {
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
    return language() === "zh-CN" ? this.said.message_zh : this.said.message;
  }
}

const lost = () => new Failure({ code: "NO_CONNECTION" });

/** A request with the token; POST where there is a body. Throws Failure, or what an aborted signal throws. */
async function request(path, body, signal) {
  // Bearer and nothing else: without it a browser would ask for a password by itself at 401, and send it for others.
  const options = { credentials: "omit", cache: "no-store", signal, headers: {} };
  if (token) options.headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let reply;
  try {
    reply = await fetch(new URL(path, document.baseURI), options);
  } catch (error) {
    throw error.name === "AbortError" ? error : lost();
  }
  if (reply.ok) return reply;
  const said = await reply.json().catch(() => null);
  throw said?.error?.code ? new Failure(said.error, reply.status) : lost();
}

export const get = async (path) => (await request(path)).json();
export const post = async (path, body) => (await request(path, body)).json();

/**
 * One answer, told to `speak` piece by piece. Returns {servedBy, fellBack, model, usage}; `begun` gets it, without its
 * usage, when the first word is there. Throws Failure; aborting throws AbortError.
 */
export async function ask(chat, messages, signal, begun, speak) {
  const body = { model: chat, messages, stream: true, stream_options: { include_usage: true } };
  let reply;
  try {
    reply = await request("v1/chat/completions", body, signal);
  } catch (error) {
    if (error.param !== "stream") throw error;
    // A chat that stock byzerllm deployed: it answers in one piece.
    reply = await request("v1/chat/completions", { model: chat, messages }, signal);
  }
  const header = (name) => reply.headers.get(name);
  const told = { servedBy: header("X-Served-By"), fellBack: header("X-Fell-Back"), model: header("X-Provider-Model") };
  begun(told);
  if (!header("Content-Type").startsWith("text/event-stream")) {
    const whole = await reply.json();
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

async function* chunks(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      throw error.name === "AbortError" ? error : lost();
    }
    const events = (rest + (piece.value ?? "")).split("\n\n");
    rest = events.pop();
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
