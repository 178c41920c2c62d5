// What eslint asks of the page's JavaScript; TypeScript looks at its types.
import js from "@eslint/js";
import globals from "globals";

const STRICT = {
  eqeqeq: "error",
  "no-var": "error",
  "prefer-const": "error",
  "no-implicit-globals": "error",
  "no-shadow": "error",
  "no-restricted-properties": [
    "error",
    ...["innerHTML", "outerHTML", "insertAdjacentHTML"].map((property) => ({
      property,
      message: "No HTML is ever parsed: dom.js makes nodes.",
    })),
  ],
  "no-implied-eval": "error",
  "no-new-func": "error",
  "no-throw-literal": "error",
  "no-unused-expressions": "error",
  "no-use-before-define": ["error", { functions: false, classes: false, variables: false }],
  "array-callback-return": "error",
  "consistent-return": "error",
  "default-case-last": "error",
  "no-promise-executor-return": "error",
  "no-self-compare": "error",
  "no-unmodified-loop-condition": "error",
  "object-shorthand": "error",
  "prefer-arrow-callback": "error",
  "prefer-template": "error",
};

export default [
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    languageOptions: { ecmaVersion: 2024, globals: globals.browser },
    rules: STRICT,
  },
  // Not a module: it runs before the first paint.
  { files: ["**/early.js"], languageOptions: { sourceType: "script" } },
];
