// Owns the ready-made calls: curl, the openai SDK, and how each file of examples/ is run.

import { asks, replyOptions, structureOf } from "./prompts.js";
import { model } from "./store.js";
import { t } from "./words.js";

/** @import { Words } from "./dom.js" */
/** @typedef {{ language: string, file: string, text: string }} Example a file of examples/ */
/** @typedef {{ title: Words, text: string }} Part */
/** @typedef {{ name: string, note?: Words, parts: Part[] }} Call */

const home = () => new URL(".", document.baseURI).href.replace(/\/$/, "");

/** What a program sends in these calls. A task's variables have values that say what they are. */
class Sample {
  /** @param {string} chat */
  constructor(chat) {
    const row = model(chat);
    this.chat = chat;
    this.isTask = Boolean(row?.task);
    this.path = this.isTask ? "task/chat" : "openai/chat";
    this.structure = structureOf(row);
    this.format = replyOptions(row).format ?? "json";
    const content = this.isTask ? "My lamp broke." : "Say hello.";
    this.fields = Object.fromEntries(asks(row).map((name) => [name, name === "content" ? content : `the ${name}`]));
  }

  get content() {
    return this.fields.content ?? "";
  }

  /** The fields beside the content. */
  get others() {
    return Object.entries(this.fields).filter(([name]) => name !== "content");
  }

  /**
   * As an object of JSON, with what is said beside.
   * @param {object} more
   */
  json(more = {}) {
    const text = JSON.stringify({ chat_name: this.chat, ...this.fields, ...more }, null, 1);
    return text.replace(/\n */g, " ").replace("{ ", "{").replace(" }", "}");
  }
}

/**
 * @param {Sample} sample
 * @param {object} more
 */
function curl(sample, more = {}) {
  return `TOKEN=
curl ${"stream" in more ? "-N " : ""}${home()}/${sample.path} \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '${sample.json(more)}'`;
}

/** @param {Sample} sample */
function form(sample) {
  const fields = Object.entries(sample.fields).map(([name, value]) => ` \\
  --data-urlencode '${name}=${value}'`);
  return `TOKEN=
curl ${home()}/${sample.path} \\
  -H "Authorization: Bearer $TOKEN" \\
  -d 'chat_name=${sample.chat}'${fields.join("")}`;
}

/** @param {Sample} sample */
function sdk({ chat, content, others }) {
  const more = others.length ? `\n    extra_body=${JSON.stringify(Object.fromEntries(others))},` : "";
  return `from openai import OpenAI

client = OpenAI(base_url="${home()}/v1", api_key="")  # the gateway's token; any word if it has none

reply = client.chat.completions.create(
    model="${chat}",
    messages=[{"role": "user", "content": ${JSON.stringify(content)}}],${more}
)
print(reply.choices[0].message.content)`;
}

/** @param {Sample} sample */
function sdkNode({ chat, content, others }) {
  const more = others.map(([name, value]) => `\n  ${JSON.stringify(name)}: ${JSON.stringify(value)},`);
  return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${home()}/v1", apiKey: "" });  // the gateway's token; any word if it has none

const reply = await client.chat.completions.create({
  model: "${chat}",
  messages: [{ role: "user", content: ${JSON.stringify(content)} }],${more.join("")}
});
console.log(reply.choices[0].message.content);`;
}

/**
 * What comes back where an answer has a form: each of a list, or how named values are written.
 * @param {Sample} sample
 */
function comesBack({ structure: { choices, fields = [] }, format }) {
  if (choices) return choices.map((one) => (format === "json" ? ascii(JSON.stringify(one)) : one)).join("\n");
  const names = fields.map((one) => one.split(":")[0].trim());
  if (format === "text") return names.map((name) => `${name}=…`).join("\n");
  if (format === "csv") return names.map(() => "…").join(",");
  return `{${names.map((name) => `${ascii(JSON.stringify(name))}: "…"`).join(", ")}}`;
}

/**
 * JSON as the gateway writes it.
 * @param {string} text
 */
const ascii = (text) =>
  text.replace(/[^\0-~]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);

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
  const sample = new Sample(chat);
  const { choices, fields } = sample.structure;
  const words = !choices && !fields;
  const back = words ? [] : [{ title: () => t(choices ? "comesBackOneOf" : "comesBack"), text: comesBack(sample) }];
  /** @type {Call[]} */
  const made = [
    {
      name: "curl",
      parts: [
        { title: () => t(words ? "inOnePiece" : "asJson"), text: curl(sample) },
        { title: () => t("asForm"), text: form(sample) },
        ...(words ? [{ title: () => t("asItComes"), text: curl(sample, { stream: true }) }] : back),
      ],
    },
    { name: "openai (Python)", parts: [{ title: "hello.py", text: sdk(sample) }] },
    { name: "openai (Node.js)", parts: [{ title: "hello.mjs", text: sdkNode(sample) }] },
  ];
  const fitting = examples.filter(({ file }) => /^task\./i.test(file) === sample.isTask);
  for (const language of new Set(fitting.map((one) => one.language))) {
    const files = fitting.filter((one) => one.language === language);
    made.push({ name: language, note: otherFields(sample), parts: files.flatMap((one) => example(one, chat)) });
  }
  return made;
}

/**
 * What to change in the examples of tasks, which send a customer and a content.
 * @param {Sample} sample
 * @returns {Words | undefined}
 */
function otherFields({ isTask, fields }) {
  const names = Object.keys(fields);
  if (!isTask || [...names].sort().join() === "content,customer") return undefined;
  return () => t("otherFields", { names: names.join(t("comma")) });
}
