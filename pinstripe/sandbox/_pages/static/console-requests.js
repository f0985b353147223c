// The log of requests to the API: the newest first, as they come.

import { read, send } from "./console-api.js";
import { button, code, el, row, table, time } from "./console-dom.js";
import { json, params } from "./console-json.js";

const PAGE = 50;
// More rows than this would make the page slow; the log itself has the last thousand.
const MOST = 500;

export async function openRequests(root) {
  const list = el("div");
  const older = button("Older", () => more());
  const clear = button("Clear", async () => {
    await send("DELETE", "/_sandbox/requests");
    rows.length = 0;
    draw();
  });
  let rows = [];
  root.append(
    el("h1", {}, "Requests"),
    el("p", { class: "quiet" }, "Requests to the API. Those of this console's own views are not among them."),
    list,
    el("p", { class: "pager" }, older, clear),
  );
  const draw = () => {
    const heads = ["Time", "Method", "Path", "Parameters", "Status", "Account", "ms"];
    list.replaceChildren(table(heads, rows.map((each) => each.element), "No request has come yet."));
  };
  const add = (found, atEnd) => {
    const made = found.map((each) => ({ number: each.number, element: requestRow(each) }));
    rows = atEnd ? [...rows, ...made] : [...made, ...rows].slice(0, MOST);
    draw();
  };
  const update = async () => {
    const found = await read("requests", { limit: MOST, after: rows[0]?.number ?? 0 });
    if (rows.length === 0) found.requests.splice(PAGE);
    if (found.requests.length) add(found.requests, false);
  };
  const more = async () => {
    const found = await read("requests", { limit: PAGE, before: rows.at(-1)?.number });
    add(found.requests, true);
    older.disabled = !found.has_more;
  };
  draw();
  await update();
  return { update, concerns: (change) => change.topic === "requests" };
}

function requestRow(request) {
  const tone = request.status === null || request.status >= 400 ? "bad" : "good";
  const notes = [request.fault && "fault", request.replayed && "replayed"].filter(Boolean);
  const status = el("span", { class: tone }, String(request.status ?? "cut"));
  return row(
    time(request.at),
    request.method,
    el("span", {}, broken(request.path), el("br"), el("span", { class: "quiet" }, request.id)),
    el("div", {}, ...paramsOf(request), ...errorOf(request)),
    el("span", {}, status, notes.length ? ` (${notes.join(", ")})` : ""),
    el("span", { class: "nowrap" }, request.account ?? "of the key"),
    String(request.milliseconds),
  );
}

/** A path that breaks after its slashes and nowhere else. */
function broken(path) {
  return code("", {}, ...path.split(/(?<=\/)/).flatMap((part) => [part, el("wbr")]));
}

function paramsOf(request) {
  return Object.keys(request.params).length ? [params(request.params, request.id)] : [];
}

function errorOf(request) {
  if (!request.error) return [];
  const summary = [request.error.code, request.error.message].filter(Boolean).join(": ");
  const whole = json(request.error, { place: request.id });
  return [el("details", {}, el("summary", { class: "bad" }, summary || request.error.type), whole)];
}
