// Owns the ready-made calls: curl, the openai SDK, and how each file of examples/ is run.

import { t } from "./words.js";

/** @import { Words } from "./dom.js" */
/** @typedef {{ language: string, file: string, text: string }} Example a file of examples/ */
/** @typedef {{ title: Words, text: string }} Part */
/** @typedef {{ name: string, parts: Part[] }} Call */

const home = () => new URL(".", document.baseURI).href.replace(/\/$/, "");

/** @param {string} chat */
function curl(chat) {
  return `TOKEN=
curl ${home()}/openai/chat \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '{"chat_name": "${chat}", "content": "Say hello."}'`;
}

/** @param {string} chat */
function stream(chat) {
  return `TOKEN=
curl -N ${home()}/openai/chat \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '{"chat_name": "${chat}", "content": "Say hello.", "stream": true}'`;
}

/** @param {string} chat */
function sdk(chat) {
  return `from openai import OpenAI

client = OpenAI(base_url="${home()}/v1", api_key="")  # the gateway's token; any word if it has none

reply = client.chat.completions.create(
    model="${chat}",
    messages=[{"role": "user", "content": "Say hello."}],
)
print(reply.choices[0].message.content)`;
}

/** @param {string} chat */
function sdkNode(chat) {
  return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${home()}/v1", apiKey: "" });  // the gateway's token; any word if it has none

const reply = await client.chat.completions.create({
  model: "${chat}",
  messages: [{ role: "user", content: "Say hello." }],
});
console.log(reply.choices[0].message.content);`;
}

/**
 * How an example is run, as its own head says it, with this gateway and this chat in its settings.
 * @param {string} text
 * @param {string} chat
 */
function howToRun(text, chat) {
  const lines = text.split("\n");
  const at = lines.findIndex((line) => line.includes("CHAT_NAME=shop_chat"));
  if (at < 0) return "";
  const port = location.port || (location.protocol === "https:" ? "443" : "80");
  const settings = [`GATEWAY_HOST=${location.hostname}`, `GATEWAY_PORT=${port}`, "GATEWAY_TOKEN=", `CHAT_NAME=${chat}`];
  /** @param {string} line */
  const bare = (line) => line.replace(/^[^A-Za-z.]+/, "").replace("CHAT_NAME=shop_chat ", "");
  if (/\bset CHAT_NAME/.test(lines[at]))
    return [...settings.map((one) => `set ${one}`), bare(lines[at + 1])].join("\n");
  return `export ${settings.join(" ")}\n${bare(lines[at])}`;
}

/**
 * @param {Example} example
 * @param {string} chat
 * @returns {Part[]}
 */
function example({ file, text }, chat) {
  const run = howToRun(text, chat);
  const how = run ? [{ title: () => `${t("howToRun")}: ${file}`, text: run }] : [];
  return [...how, { title: file, text }];
}

/**
 * Each way to call a chat: its name, and the parts of text that make it up.
 * @param {string} chat
 * @param {Example[]} examples
 */
export function calls(chat, examples) {
  /** @type {Call[]} */
  const made = [
    {
      name: "curl",
      parts: [
        { title: () => t("inOnePiece"), text: curl(chat) },
        { title: () => t("asItComes"), text: stream(chat) },
      ],
    },
    { name: "openai (Python)", parts: [{ title: "hello.py", text: sdk(chat) }] },
    { name: "openai (Node.js)", parts: [{ title: "hello.mjs", text: sdkNode(chat) }] },
  ];
  for (const language of new Set(examples.map((one) => one.language))) {
    const files = examples.filter((one) => one.language === language);
    made.push({ name: language, parts: files.flatMap((one) => example(one, chat)) });
  }
  return made;
}
