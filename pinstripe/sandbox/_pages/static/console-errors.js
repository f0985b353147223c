// Every documented error, with the requests that produce it, to copy or to try at once.

import { sendForm } from "./console-api.js";
import { badge, button, code, copied, el, row, table } from "./console-dom.js";
import { json } from "./console-json.js";

export async function openErrors(root, { description }) {
  root.append(
    el("h1", {}, "Errors"),
    el(
      "p",
      { class: "quiet" },
      "Every documented error of these resources, with requests that produce it. “Try” sends them to this sandbox.",
    ),
  );
  for (const [area, found] of Map.groupBy(description.refusals, (each) => each.area)) {
    const rows = found.map(errorRow);
    root.append(el("h2", {}, area), table(["Code", "Status", "When", "How"], rows, ""));
  }
  return { update: async () => {}, concerns: () => false };
}

function errorRow(error) {
  const result = el("div");
  const name = error.code ?? `${error.type} ${error.status}`;
  const attempt = button("Try", async () => result.replaceChildren(await outcome(error)), {
    "aria-label": `Try ${name}`,
  });
  const steps = error.steps.map((step) => curl(step)).join("\n");
  const how = error.by_fault ? "A fault, then any request" : "Requests";
  return row(
    error.code ? code(error.code) : el("span", { class: "quiet" }, `no code, ${error.type}`),
    String(error.status),
    error.when,
    el("div", { class: "how" }, attempt, el("details", {}, el("summary", {}, how), copied(steps)), result),
  );
}

function curl({ method, path, params, headers }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = ["curl", quoted(location.origin + path)];
  if (headers.Authorization === undefined) parts.push("-u sk_test_any:");
  for (const [name, value] of Object.entries(headers)) {
    if (value) parts.push("-H", quoted(`${name}: ${value}`));
  }
  if (method === "GET" && Object.keys(params).length) parts.push("-G");
  if (method === "POST" && !Object.keys(params).length) parts.push("-X POST");
  for (const [name, value] of Object.entries(params)) {
    parts.push("--data-urlencode", quoted(`${name}=${value.replaceAll("\0", "\\0")}`));
  }
  return parts.join(" ");
}

async function outcome(error) {
  let answer;
  let id = "";
  for (const step of error.steps) {
    const filled = (text) => text.replaceAll("{id}", id);
    const form = new URLSearchParams();
    for (const [name, value] of Object.entries(step.params)) form.append(name, filled(value));
    answer = await sendForm(step.method, filled(step.path), form, step.headers);
    id = answer.body.id ?? answer.body.data?.[0]?.id ?? "";
  }
  const shown = error.status === 200 ? answer.body.last_error : answer.body;
  return el("div", {}, badge(String(answer.status)), json(shown));
}
