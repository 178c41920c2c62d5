// The openai npm package against a gateway: node openai.mjs BASE_URL CALL MODEL.
// Prints, as JSON, what the call gave or what the package raised.
import OpenAI from "openai";

const [baseURL, call, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "any" }); // its two hidden retries included
const messages = [{ role: "user", content: "Tell me about the sea." }];
const short = { model, messages, max_tokens: 20, temperature: 0 };
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];

const calls = {
  async chat() {
    const said = await client.chat.completions.create(short);
    return { text: said.choices[0].message.content, model: said.model, usage: said.usage };
  },

  async stream() {
    const asked = { ...short, stream: true, stream_options: { include_usage: true } };
    const pieces = [];
    let usage = null;
    try {
      for await (const chunk of await client.chat.completions.create(asked)) {
        if (chunk.choices[0]?.delta.content) pieces.push(chunk.choices[0].delta.content);
        usage = chunk.usage ?? usage;
      }
    } catch (error) {
      return { pieces, ...raised(error) };
    }
    return { pieces, usage };
  },

  async tools() {
    const [asked] = (await client.chat.completions.create({ model, messages, tools })).choices;
    const [{ id, function: called }] = asked.message.tool_calls;
    const result = { role: "tool", tool_call_id: id, content: "Rain." };
    const said = await client.chat.completions.create({ model, messages: [...messages, asked.message, result], tools });
    return { finish: asked.finish_reason, called, text: said.choices[0].message.content };
  },

  async streamed_tools() {
    const stream = client.chat.completions.stream({ model, messages, tools });
    const [choice] = (await stream.finalChatCompletion()).choices;
    return { finish: choice.finish_reason, called: choice.message.tool_calls[0].function };
  },

  async embeddings() {
    const asked = { model, input: ["one", "二"] };
    const decoded = await client.embeddings.create(asked); // it asks for base64
    const floats = await client.embeddings.create({ ...asked, encoding_format: "float" });
    return { decoded: decoded.data.map((row) => row.embedding), floats: floats.data.map((row) => row.embedding) };
  },

  async models() {
    const names = [];
    for await (const row of client.models.list()) names.push(row.id);
    return { names, owner: (await client.models.retrieve(model)).owned_by };
  },
};

function raised(error) {
  if (!(error instanceof OpenAI.APIError)) throw error;
  return { raised: error.constructor.name, status: error.status ?? null, code: error.code };
}

console.log(JSON.stringify(await calls[call]().catch(raised)));
