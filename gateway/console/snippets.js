// Owns the ready-made calls: curl, the openai SDK, and how each file of examples/ is run.

import { t } from "./words.js";

const home = () => new URL(".", document.baseURI).href.replace(/\/$/, "");

function curl(chat) {
  return `TOKEN=
curl ${home()}/openai/chat \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '{"chat_name": "${chat}", "content": "Say hello."}'`;
}

function stream(chat) {
  return `TOKEN=
curl -N ${home()}/openai/chat \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '{"chat_name": "${chat}", "content": "Say hello.", "stream": true}'`;
}

function sdk(chat) {
  return `from openai import OpenAI

client = OpenAI(base_url="${home()}/v1", api_key="")  # the gateway's token; any word if it has none

reply = client.chat.completions.create(
    model="${chat}",
    messages=[{"role": "user", "content": "Say hello."}],
)
print(reply.choices[0].message.content)`;
}

function sdkNode(chat) {
  return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${home()}/v1", apiKey: "" });  // the gateway's token; any word if it has none

const reply = await client.chat.completions.create({
  model: "${chat}",
  messages: [{ role: "user", content: "Say hello." }],
});
console.log(reply.choices[0].message.content);`;
}

/** Each way to call a chat: its name, and the parts of text that make it up. */
export function calls(chat, examples) {
  const made = [
    { name: "curl", parts: [{ title: () => t("inOnePiece"), text: curl(chat) }, { title: () => t("asItComes"), text: stream(chat) }] },
    { name: "openai (Python)", parts: [{ title: "hello.py", text: sdk(chat) }] },
    { name: "openai (Node.js)", parts: [{ title: "hello.mjs", text: sdkNode(chat) }] },
  ];
  for (const language of new Set(examples.map((one) => one.language))) {
    const files = examples.filter((one) => one.language === language);
    made.push({ name: language, parts: files.map((one) => ({ title: one.file, text: one.text })) });
  }
  return made;
}
