// Vercel's AI SDK against a gateway: node ai.mjs URL PROVIDER CALL MODEL.
// Prints, as JSON, what the call gave or what the package raised.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, generateText, streamText } from "ai";

globalThis.AI_SDK_LOG_WARNINGS = false; // they go to standard output
const [url, provider, call, name] = process.argv.slice(2);
const make = { openai: createOpenAI, anthropic: createAnthropic }[provider];
const model = make({ baseURL: `${url}/v1`, apiKey: "any" })(name); // of OpenAI, its Responses
const asked = { model, prompt: "Tell me about the sea.", maxRetries: 0 };

const calls = {
  async whole() {
    const { text, usage, response } = await generateText(asked);
    return { text, model: response.modelId, input: usage.inputTokens, output: usage.outputTokens };
  },

  async stream() {
    const pieces = [];
    let failed = null;
    const answer = streamText({ ...asked, onError: ({ error }) => (failed = error) });
    for await (const piece of answer.textStream) pieces.push(piece);
    if (failed) return { pieces, ...raised(failed) };
    const usage = await answer.usage;
    return { pieces, input: usage.inputTokens, output: usage.outputTokens };
  },
};

function raised(error) {
  const status = APICallError.isInstance(error) ? error.statusCode : null;
  return { raised: String(error.name ?? error.type), status, message: String(error.message) };
}

console.log(JSON.stringify(await calls[call]().catch(raised)));
