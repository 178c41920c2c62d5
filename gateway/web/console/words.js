// Owns every word on the page: English here, Chinese beside it, and how numbers and times are written.

import { chinese } from "./chinese.js";

/** @import { Chat } from "./store.js" */

const english = {
  brand: "Byzer-LLM gateway",
  skip: "Skip to content",
  views: "Views",
  ask: "Ask",
  bulk: "Bulk",
  run: "Run",
  usage: "Usage",
  code_: "Try it from code",
  theme_auto: "System",
  theme_light: "Light",
  theme_dark: "Dark",
  theme: "Theme: {now}",
  signOut: "Sign out",
  signInTitle: "Sign in",
  signInMore: "This gateway asks for a token. The operator gives one to each caller.",
  signIn: "Sign in",
  token: "Gateway token",
  tokenHint: "Kept in this tab only, until you close it.",
  wrongToken: "This is none of the gateway's tokens. Check it for a missing character, or ask the operator for one.",
  noConnection: "The gateway cannot be reached. This page tries again by itself.",

  whom: "Whom to ask",
  question: "Your question",
  questionHint: "Ask a question…",
  askThem: "Ask",
  stop: "Stop",
  stopAll: "Stop all",
  askAgain: "Ask again",
  newTalk: "Start over",
  export: "Export",
  chooseOne: "Choose at least one chat.",
  progress: "{done} of {all} have answered",
  keys: "Ctrl+Enter sends, Esc stops.",
  allDone: "All done. Write on to follow up.",
  copy: "Copy",
  copied: "Copied",
  best: "Best",
  tokens: "{count} tokens",
  tokens_one: "1 token",
  fellBack: "{chat} answered in its place: {why}.",
  saidNothing: "It said nothing.",
  wasStopped: "Stopped.",
  comparison: "Comparison",
  table: "Table",
  code: "Code",
  comma: ", ",
  gap: " ",
  toRun: "See to it in Run",

  noneAdmin: "Begin with a model that needs no key",
  noneAdminMore:
    "A small model is built in. Deploy it under a name of your choice; programs and this page then call it by that name.",
  oneAdmin: "{chat} is there",
  oneAdminMore: "Ask it something, below. Or add a second one to compare: their answers stand side by side.",
  noneChat: "There is no chat yet",
  noneChatMore: "The operator of this gateway deploys them. This page shows the first one as soon as it is there.",
  quickDeploy: "Deploy the built-in model",
  quickHint:
    "SmolLM2-135M runs in the cluster: no key, about 250 MB of memory, English only, and small enough to be silly.",
  orElse: "Or:",
  deployOther: "Deploy another provider's model…",
  starting_: "{chat} is starting; this takes a few seconds.",
  answersNow: "{chat} is there. Ask it something.",

  deployA: "Deploy a chat…",
  deployTitle: "Deploy a chat",
  deploy: "Deploy",
  "switch…": "Switch…",
  switch: "Switch",
  switchTitle: "Switch {chat}",
  provider: "Provider",
  name: "Chat name",
  nameHint: "1 to 64 of A–Z a–z 0–9 _ . -",
  key: "API key",
  keyHint: "Sent once and kept in the cluster's memory. It is shown nowhere, not even here.",
  model: "Model",
  check: "Ask the new model one question first",
  more: "More settings",
  address: "Base URL",
  addressHint: "Another server that speaks the provider's protocol. Leave it empty for the provider's own, if it has one.",
  workers: "Replicas",
  timeout: "Timeout in seconds",
  deployWhat: "{next} will answer at the new chat name {chat}.",
  switchWhat:
    "{chat} now answers through {now}. From now on it will answer through {next}; answers under way finish as they are.",
  checkWhat: "It must answer one question first. If it cannot, nothing is deployed.",
  checkWhatSwitch: "The new model must answer one question first. If it cannot, all stays as it is.",
  undoLater: "For a while, Undo can bring back what is there now.",
  at: "{now} at {host}",
  answersThrough: "Done: {chat} answers through {now}.",

  "undo…": "Undo…",
  undo: "Bring it back",
  undoTitle: "Undo the last deploy of {chat}",
  undoWhat:
    "What was behind {chat} before its last deploy comes back, key included, in the place of {now}. Answers under way finish as they are.",
  "chain…": "Fallback…",
  chain: "Falls back to",
  chainTitle: "Who answers when {chat} cannot",
  chainAdd: "Add a chat…",
  chainNoMore: "No other chat to add",
  chainWhat:
    "When {chat} cannot answer (bill unpaid, key refused, provider down…), the same question goes on: {chat} → {chain}.",
  chainNone: "When {chat} cannot answer, nobody does in its place: its callers get the error.",
  earlier: "{chat}: earlier",
  later: "{chat}: later",
  takeOut: "{chat}: take out",
  "undeploy…": "Undeploy…",
  undeploy: "Undeploy",
  undeployTitle: "Undeploy {chat}",
  undeployWhat:
    "{chat} is taken away, after the answers under way. Who calls it then gets NOT_DEPLOYED. Its key is forgotten, so this cannot be undone.",
  undeployLeaning: "It no longer stands in for {chats}.",
  undeployDone: "Done: {chat} is gone.",
  save: "Save",
  cancel: "Cancel",
  close: "Close",
  working: "Working…",

  behind: "Model",
  host: "Host",
  replicas: "Replicas",
  inFlight: "In flight",
  budget: "Budget",
  usedToday: "{used} of {budget}, this day",
  usedThisMonth: "{used} of {budget}, this month",
  balance: "Balance",
  left: "{amount}, {since}",
  leftLow: "{amount}, {since}: below {low}",
  since: "Deployed",
  nobody: "nobody",
  requests: "{count} requests in 5 minutes",
  requests_one: "1 request in 5 minutes",
  errors: "{count} errors ({why})",
  errors_one: "1 error ({why})",
  state_answering: "answering",
  state_resting: "resting",
  state_starting: "starting",
  state_need_key: "needs its key",
  restingMore: "{code} {since}: {why}.",
  triedAgain: "Its provider is tried again in {seconds} s.",
  triedNext: "Its provider is tried again with the next question.",
  needKeyMore: "The cluster was restarted, and keys are kept in memory only. Switch it, with its key.",
  provider_local: "local",
  provider_zhipu: "Zhipu",
  provider_tongwen: "Tongyi Qianwen",
  provider_openai: "OpenAI",
  provider_deepseek: "DeepSeek",
  provider_moonshot: "Moonshot (Kimi)",
  provider_volcengine: "Volcengine (Doubao)",
  provider_qianfan: "Qianfan (ERNIE)",
  provider_hunyuan: "Tencent Hunyuan",
  provider_minimax: "MiniMax",
  provider_siliconflow: "SiliconFlow",
  provider_openrouter: "OpenRouter",
  provider_anthropic: "Anthropic",
  provider_gemini: "Google Gemini",
  provider_azure: "Azure OpenAI",
  provider_custom: "another server",
  promptThrough: "a prompt, answered by {chat}",

  why_PAY_BILL: "the bill is unpaid",
  why_OVER_BUDGET: "the budget is used up",
  why_BAD_ANSWER: "the answer had not the form that was asked for",
  why_BAD_KEY: "the key was refused",
  why_NO_SUCH_MODEL: "the provider has no such model",
  why_NEED_KEY: "its key was lost in a restart",
  why_SLOW_DOWN: "the rate limit is reached",
  why_PROVIDER_BUSY: "the provider is overloaded",
  why_PROVIDER_DOWN: "the provider is down",
  why_TIMEOUT: "no answer in time",

  usageLead: "What was asked and answered from {from} to {to}, and what it cost where a chat has a price.",
  usageNone: "Nothing was asked from {from} to {to}.",
  usageAgain: "Look again",
  caller: "Caller",
  asked: "Requests",
  failed: "Errors",
  tokensIn: "Tokens in",
  tokensOut: "Tokens out",
  money: "Money",
  noToken: "without a token",

  // Ask: what is said beside a question.
  askOptions: "System prompt, temperature, thinking, form of the answer",
  system: "System prompt",
  temperature: "Temperature",
  thinking: "Thinking",
  asDeployed: "As deployed",
  on: "on",
  off: "off",
  answerIs: "The answer is",
  oneOf: "one of a list",
  namedValues: "named values",
  choiceLines: "The list, a line each",
  choiceHint: "The answer is exactly one of these lines.",
  fieldLines: "The names, a line each",
  fieldHint: "After a colon what it must look like: number, date, or a list a|b.",
  asPrograms: "As a program gets it: {size} bytes, {status}, {type}",
  replyBody: "The reply's body",

  // Deploy: what most deploys leave alone.
  listModels: "List models",
  modelsListed: "{count} models: choose one in the field, or type.",
  modelsListed_one: "1 model: choose it in the field, or type.",
  noModels: "It lists none: type the model's name.",
  providersWay: "Off, where that can be said",
  options: "Options (JSON)",
  optionsHint: "Sent with each question that does not say otherwise.",
  moneyTitle: "Price and budget",
  priceHint: "What a million tokens cost. Then Usage counts money.",
  priceIn: "In",
  priceOut: "Out",
  priceCached: "In, cached",
  currency: "Currency",
  budgetHint: "What it may take. When that is used up, it rests, and its fallback answers.",
  budgetMoney: "Money",
  budgetTokens: "Tokens",
  budgetPer: "In each",
  perDay: "day",
  perMonth: "month",
  lowBalance: "Tell below",

  // Tasks.
  deployTask: "Deploy a task…",
  taskTitle: "Deploy a task",
  "taskChange…": "Change…",
  taskChange: "Change the task {chat}",
  taskWhat: "{chat} will be a chat name of its own: {through} is asked this prompt, with what a program says in it.",
  taskChangeWhat: "From now on who calls {chat} is answered by this prompt, through {through}. Undo can bring back what is there now.",
  taskDone: "Done: {chat} asks {through}.",
  answeredBy: "Answered by",
  prompt: "Prompt",
  promptHint: "A name in double braces is a variable: a field that each request gives.",
  taskSystemHint: "It may be left out, and may have variables, too.",
  thereNow: "There now",
  new: "New",
  anyWords: "any words",
  replyOptions: "Form of the reply (JSON)",
  replyHint: "Such as format, charset, eol and status, for old programs.",
  tryFirst: "Try it before it is saved",
  tryIt: "Try it",
  notJson: "The options and the form of the reply must be JSON objects.",

  // Usage: pictures, limits.
  period: "Days",
  thisMonth: "This month",
  lastMonth: "Last month",
  week: "7 days",
  thirty: "30 days",
  otherDays: "Others…",
  firstDay: "From",
  lastDay: "To",
  toldApart: "By",
  downloadCsv: "Download CSV",
  byCallerAndChat: "By caller and chat",
  day: "Day",
  mostADay: "at most {most} a day",
  others: "{count} others",
  others_one: "1 other",
  tokensByDay: "Tokens",
  requestsByDay: "Requests",
  answered: "Answered",
  fellBackCount: "Answered by another",
  noChat: "no chat",
  requestsUnit: "requests",
  tokensUnit: "tokens",
  eachMinute: "each minute",
  eachDay: "each day",
  eachMonth: "each month",
  usedOf: "{used} of {whole} {what} {each}",

  // Run: the past.
  noLedger: "What was before is not kept: GATEWAY_STATE names no folder for it.",
  nothingInDays: "Nothing in {days} days",
  requestsInDays: "{shown} requests in {days} days",
  requestsInDays_one: "1 request in {days} days",
  errorsInDays: "{shown} errors",
  errorsInDays_one: "1 error",
  fellBackInDays: "{shown} answered by another",
  took: "half within {p50}, 99 of 100 within {p99}",
  couldNotAnswer: "When it could not answer",
  moreRests: "{count} earlier",
  stillSince: "still, since {since}",
  meanwhile: "Meanwhile answered {who}.",
  meanwhileNobody: "Nobody answered in its place: {shown} requests failed.",
  meanwhileNobody_one: "Nobody answered in its place: 1 request failed.",
  colon: ": ",
  stop_: ".",

  // Callers.
  callers: "Callers",
  callersLead: "Who has a token. Tokens are made and taken away in the operator's file only, by a command; a reload of the gateway takes them up.",
  noCallers: "This gateway asks for no token. With GATEWAY_TOKENS_FILE and this command each caller gets its own, with its chats and limits.",
  howTokens: "How a token is made",
  tokensAlike: "{count} tokens alike",
  mayDo: "May",
  mayChat: "chat",
  mayAdmin: "operate",
  chats: "Chats",
  allChats: "all",
  nothing: "nothing",
  requestsCount: "{shown} requests",
  requestsCount_one: "1 request",

  // Bulk.
  bulkLead: "A file's rows are put to a chat or a task, one by one, and come back with the answers beside them.",
  dropFile: "Drop a .csv or .xlsx file here, or choose one",
  dropHint: "As Excel saves it, in any charset. It is kept in this browser until you remove it.",
  bulkOpen: "It runs while this page is open, and goes on where it was when you come back. What takes hours:",
  keepsNothing: "This browser keeps nothing (a private window?): a reload would lose what was answered.",
  firstRows: "The first rows",
  row: "Row",
  rows: "Rows",
  error: "Error",
  onlyErrors: "Errors only",
  earlierRows: "Earlier",
  laterRows: "Later",
  rowsShown: "{first} to {last} of {count}",
  readAs: "{shown} rows, {charset}, cells with {delimiter} between",
  readAs_one: "1 row, {charset}, cells with {delimiter} between",
  readAsExcel: "{shown} rows of Excel's own",
  readAsExcel_one: "1 row of Excel's own",
  readOtherwise: "Read it otherwise",
  asFound: "as found",
  tab: "tab",
  charset: "Charset",
  delimiter: "Between the cells",
  headerRow: "The first row names the columns",
  whomRows: "Who answers",
  atOnce: "Rows at once",
  whichColumn: "Which column holds what",
  chooseColumn: "Choose a column…",
  taskRows: "A task, whose prompt {chat} answers.",
  plainChat: "A chat: the cell is the question.",
  answersOneOf: "It answers one of: {choices}.",
  answersFields: "It answers: {fields}.",
  tryRows: "Try the first {count}",
  runRows: "Run all {shown} rows",
  runRows_one: "Run the row",
  pause: "Pause",
  goOn: "Go on",
  askErrors: "Ask the errors again",
  download: "Download",
  fromProgram: "Call it from a program",
  removeTable: "Remove",
  removeTitle: "Remove {name}",
  removeWhat: "The file and its {shown} answers are gone from this browser then. Download them before.",
  removeWhat_one: "The file and its answer are gone from this browser then. Download it before.",
  removed: "It is gone.",
  rowsRunning: "{done} of {all} rows have answers{left}",
  leftUnknown: "…",
  leftWords: "; {rate} a minute, about {time} left",
  rowsPaused: "{done} of {all} rows have answers. It is paused.",
  rowsStopped: "{done} of {all} rows have answers. It stopped:",
  rowsElsewhere: "{done} of {all} rows have answers. Another tab of this browser runs it.",
  rowsDone: "All {all} rows have answers.",
  rowsDoneErrors: "All {all} rows were asked; {errors} have an error.",
  waitingFor: "Waiting {seconds} s: {code}: {words}",
  lacksField: "the answer lacks a field",

  codeLead: "Ready to paste. The token is left blank: put yours in, or leave it out if this gateway asks for none.",
  chat: "Chat",
  languages: "Languages",
  inOnePiece: "The answer in one piece: a JSON string",
  asItComes: "As it comes: plain text",
  asJson: "The question as JSON",
  asForm: "As a form, which any old program can send",
  comesBack: "What comes back",
  comesBackOneOf: "What comes back: one of these, byte for byte",
  otherFields: "These programs send customer and content. This task takes: {names}. Change the names accordingly.",
  howToRun: "How to run it",
};

/**
 * A key of the words; a provider's and an error's may be unknown to this page.
 * @typedef {keyof typeof english | `provider_${string}` | `why_${string}`} Key
 */

/** @type {Record<string, Record<string, string>>} */
const tables = { en: english, "zh-CN": chinese };

export const language = () => document.documentElement.lang;

/**
 * The words called `key`, with `{name}` filled in; "" where there are none.
 * @param {Key} key
 * @param {Record<string, string | number | null | undefined>} values
 */
export function t(key, values = {}) {
  const table = tables[language()];
  const words = (values.count === 1 && table[`${key}_one`]) || table[key] || "";
  return words.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/**
 * An error's code in a few words, or the code itself.
 * @param {string} code
 */
export const reason = (code) => t(`why_${code}`) || code;

/** @param {Pick<Chat, "state">} row */
export const stateWords = (row) => t(`state_${row.state}`);

/** @param {number} value */
export const number = (value, digits = 0) =>
  new Intl.NumberFormat(language(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

/** @param {number | Date} date */
export const time = (date) =>
  new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "short" }).format(date);

/**
 * A day that is written YYYY-MM-DD.
 * @param {string} date
 */
export const day = (date) =>
  new Intl.DateTimeFormat(language(), { month: "short", day: "numeric", timeZone: "UTC" }).format(Date.parse(date));

/** @type {[number, "day" | "hour" | "minute" | "second"][]} */
const UNITS = [
  [86_400, "day"],
  [3600, "hour"],
  [60, "minute"],
  [1, "second"],
];

/**
 * A Unix time as "4 minutes ago".
 * @param {number} unix
 */
export function ago(unix) {
  const seconds = Math.max(0, Math.round(Date.now() / 1000 - unix));
  const [size, unit] = UNITS.find(([least]) => seconds >= least) ?? UNITS[UNITS.length - 1];
  return new Intl.RelativeTimeFormat(language(), { numeric: "auto" }).format(-Math.floor(seconds / size), unit);
}

/**
 * So many seconds as "4 minutes".
 * @param {number} seconds
 */
export function lasting(seconds) {
  const [size, unit] = UNITS.find(([least]) => seconds >= least) ?? UNITS[UNITS.length - 1];
  const format = new Intl.NumberFormat(language(), { style: "unit", unit, unitDisplay: "long" });
  return format.format(Math.max(1, Math.round(seconds / size)));
}
