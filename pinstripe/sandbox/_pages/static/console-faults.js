// Faults and rate limits: what makes requests fail, to switch on and off.

import { read, refusalText, send } from "./console-api.js";
import { button, control, el, row, table } from "./console-dom.js";

const PRESETS = [
  ["Every request fails (500)", { status: 500 }],
  ["Gateway loses answers (502)", { status: 502, effect: "true" }],
  ["Connections are cut", { cut: "true" }],
  ["Answers take 2 seconds", { latency: 2 }],
  ["Too many requests (429)", { status: 429 }],
  ["Every other request fails (503)", { status: 503, probability: 0.5 }],
];

export async function openFaults(root, _, tell) {
  const faults = el("div");
  const limits = el("p");
  root.append(
    el("h1", {}, "Faults"),
    el("p", { class: "quiet" }, "A request meets the oldest fault that matches it."),
    presetButtons(tell),
    faultForm(tell),
    faults,
    el("h2", {}, "Rate limits"),
    limits,
    limitForm(tell),
  );
  const update = async () => {
    const found = await read("faults");
    faults.replaceChildren(faultTable(found.faults, tell));
    const now = await read("rate_limit");
    limits.textContent = now.account
      ? `An account may make ${now.account} requests a second, ${now.endpoint} to one endpoint, and ${now.files} reads or writes of files.`
      : "There is no limit.";
  };
  await update();
  return { update, concerns: (change) => ["faults", "requests"].includes(change.topic) };
}

function presetButtons(tell) {
  return el(
    "div",
    { class: "actions", role: "group", "aria-label": "Usual faults" },
    PRESETS.map(([label, fault]) =>
      button(label, () => change(tell, "POST", "faults", { path: "/v1/*", ...fault })),
    ),
  );
}

function faultForm(tell) {
  const submit = (event) => {
    event.preventDefault();
    change(tell, "POST", "faults", Object.fromEntries(new FormData(event.target)));
  };
  const yes = [["", "no"], ["true", "yes"]];
  const number = (label, name, more) =>
    control(label, name, [], { type: "number", size: 6, ...more });
  return el(
    "details",
    {},
    el("summary", {}, "Another fault"),
    el(
      "form",
      { class: "fields", onsubmit: submit },
      number("Status", "status", { min: 400, max: 599 }),
      control("Code", "code", []),
      control("Type", "type", [
        ["", "usual"], "api_error", "card_error", "idempotency_error", "invalid_request_error",
      ]),
      control("Message", "message", []),
      control("Parameter", "param", []),
      control("Cut the connection", "cut", yes),
      control("Carried out all the same", "effect", yes),
      number("Seconds before", "latency", { min: 0, step: "any" }),
      control("Method", "method", [["", "any"], "GET", "POST", "DELETE"]),
      control("Path", "path", [], { placeholder: "/v1/*" }),
      number("Requests", "count", { min: 1 }),
      number("Share of requests", "probability", { min: 0, max: 1, step: "any" }),
      el("button", { type: "submit" }, "Switch on"),
    ),
  );
}

function faultTable(faults, tell) {
  if (faults.length === 0) return el("p", { class: "quiet" }, "No fault is switched on.");
  const rows = faults.map((fault) =>
    row(
      whatOf(fault),
      [fault.method ?? "any method", fault.path ?? "any path"].join(", "),
      fault.count === null ? "until switched off" : `${fault.count} more`,
      String(fault.hits),
      button("Switch off", () => change(tell, "DELETE", `faults/${fault.id}`), {
        "aria-label": `Switch off ${fault.id}`,
      }),
    ),
  );
  const all = button("Switch all off", () => change(tell, "DELETE", "faults"));
  return el("div", {}, table(["Fault", "Requests", "For", "Hits", ""], rows, ""), all);
}

function whatOf(fault) {
  const parts = [
    fault.latency ? `${fault.latency} s late` : "",
    fault.cut ? "connection cut" : "",
    fault.status ? `status ${fault.status}` : "",
    fault.code ?? "",
    fault.effect ? "carried out" : "",
    fault.probability < 1 ? `share ${fault.probability}` : "",
  ];
  return parts.filter(Boolean).join(", ");
}

function limitForm(tell) {
  const submit = (event) => {
    event.preventDefault();
    change(tell, "POST", "rate_limit", Object.fromEntries(new FormData(event.target)));
  };
  const number = (label, name, more) =>
    control(label, name, [], { type: "number", min: 0, step: "any", ...more });
  return el(
    "form",
    { class: "fields", onsubmit: submit },
    number("Requests a second of an account", "account", { required: true }),
    number("To one endpoint", "endpoint", { placeholder: "25" }),
    number("Of files", "files", { placeholder: "20" }),
    el("button", { type: "submit" }, "Set the limit"),
    button("No limit", () => change(tell, "POST", "rate_limit")),
  );
}

async function change(tell, method, path, params = {}) {
  const answer = await send(method, `/_sandbox/${path}`, params);
  if (answer.status !== 200) tell(refusalText(answer), true);
  else tell("", false);
}
