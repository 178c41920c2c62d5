// Owns the view Bulk: a file is dropped, a chat answers each of its rows, and the file comes back with the answers.

import { Failure, post } from "./api.js";
import { RunView } from "./bulk_progress.js";
import { BulkSettings } from "./bulk_settings.js";
import { runsElsewhere } from "./bulk_run.js";
import { forget, keepPlan, load } from "./bulk_store.js";
import { failure, h } from "./dom.js";
import { t } from "./words.js";

/** @import { Answer } from "./bulk_gateway.js" */
/** @import { Run } from "./bulk_run.js" */
/** @import { Source } from "./bulk_settings.js" */
/** @import { Plan, Table } from "./bulk_store.js" */

const KINDS = ".csv,.tsv,.txt,.xlsx,text/csv";
const COMMAND = "python -m gateway bulk in.csv out.csv --chat NAME";

export function bulkView() {
  const trouble = h("div", { class: "result" });
  const place = h("div");
  /** @type {BulkSettings | null} */
  let settings = null;
  const element = h(
    "section",
    { class: "bulk", "aria-labelledby": "bulk-title" },
    h("h1", { id: "bulk-title" }, () => t("bulk")),
    h("p", { class: "lead" }, () => t("bulkLead")),
    trouble,
    place,
  );

  /** @param {unknown} error */
  function tell(error) {
    if (!(error instanceof Failure)) throw error;
    trouble.replaceChildren(failure(error));
  }

  /** @param {Source} source */
  async function read(source) {
    trouble.replaceChildren(h("p", { class: "note busy", role: "status" }, () => t("working")));
    try {
      const { name, file, header, charset, delimiter } = source;
      const table = /** @type {Table} */ (await post("console/table", { name, file, header, charset, delimiter }));
      trouble.replaceChildren();
      const form = new BulkSettings(source, table, read, (until) => begin(form.plan(), until), remove);
      settings?.end();
      settings = form;
      place.replaceChildren(form.element);
    } catch (error) {
      tell(error);
    }
  }

  /** @type {(plan: Plan, until: number) => Promise<void>} */
  async function begin(plan, until) {
    settings?.end();
    const kept = runsElsewhere() && (await load().catch(() => null));
    if (kept) {
      show(kept.plan, kept.answers); // what another tab runs must not be mixed with this
      return;
    }
    const run = show(plan, new Map());
    try {
      await forget();
      await keepPlan(plan);
    } catch {
      run.unkept = true;
    }
    await run.start(until);
  }

  /** @type {(plan: Plan, answers: Map<number, Answer>) => Run} */
  function show(plan, answers) {
    const view = new RunView(plan, answers, tell, remove);
    place.replaceChildren(view.element);
    return view.run;
  }

  async function remove() {
    await forget().catch(() => null); // where nothing can be kept
    trouble.replaceChildren();
    place.replaceChildren(dropZone(read));
  }

  place.replaceChildren(dropZone(read));
  load()
    .then((kept) => kept && show(kept.plan, kept.answers))
    .catch(() => null); // a run says so
  return element;
}

/** @param {(source: Source) => void} read */
function dropZone(read) {
  /** @type {HTMLInputElement} */
  const input = h("input", { type: "file", accept: KINDS, class: "away", onchange: () => take(input.files?.[0]) });
  /** @param {File} [file] */
  function take(file) {
    if (!file) return;
    const reader = new FileReader();
    reader.onload = () => {
      const [, base64 = ""] = String(reader.result).split(",");
      read({ name: file.name, file: base64, header: true, charset: "", delimiter: "" });
    };
    reader.readAsDataURL(file);
  }
  /** @param {DragEvent} event */
  const over = (event) => {
    event.preventDefault();
    zone.classList.toggle("over", event.type === "dragover");
    if (event.type === "drop") take(event.dataTransfer?.files[0]);
  };
  const zone = h(
    "label",
    { class: "drop", ondragover: over, ondragleave: over, ondrop: over },
    input,
    h("strong", {}, () => t("dropFile")),
    h("span", { class: "hint" }, () => t("dropHint")),
  );
  return h("div", { class: "start" }, zone, h("p", { class: "hint" }, () => t("bulkOpen"), " ", h("code", {}, COMMAND)));
}
