// Objects of every kind: their lists, one object with its life so far, and what can be done with it.

import { chosenAccount, filtered, read, refusalText, send } from "./console-api.js";
import { changedNames } from "./console-changes.js";
import { badge, button, control, el, link, row, table, time } from "./console-dom.js";
import { addressOf, idLink, json } from "./console-json.js";

const PAGE = 25;
const OWN_VIEWS = ["event", "sandbox.webhook_delivery"];
// What a list shows of an object besides its id and its time.
const COLUMNS = {
  "climate.order": ["status", "product", "metric_tons"],
  "climate.product": ["name", "metric_tons_available"],
  "climate.supplier": ["name", "removal_pathway"],
  "crypto.onramp_session": ["status"],
  event: ["type"],
  file: ["purpose", "size"],
  file_link: ["file", "expired"],
  "forwarding.request": ["payment_method"],
  "identity.verification_report": ["type", "verification_session"],
  "identity.verification_session": ["status", "type"],
  "sandbox.webhook_delivery": ["status", "event", "webhook_endpoint"],
  webhook_endpoint: ["status", "enabled_events"],
};

/** The kinds of objects, each with how many there are. */
export async function openKinds(root) {
  const list = el("div");
  root.append(el("h1", {}, "Objects"), list);
  const update = async () => {
    const counts = await countsOf();
    const rows = Object.entries(counts)
      .filter(([kind]) => !OWN_VIEWS.includes(kind))
      .map(([kind, count]) => row(link(kind, `#/objects/${kind}`), String(count)));
    list.replaceChildren(table(["Kind", "Objects"], rows, ""));
  };
  await update();
  return { update, concerns: () => true };
}

async function countsOf() {
  const { accounts } = await read("accounts");
  return (accounts.find((each) => each.id === chosenAccount()) ?? accounts[0]).objects;
}

/** A list of the objects of one kind, page by page, with filters. */
export async function openList(root, { kind, title }) {
  const state = { cursors: [], filters: {}, last: "" };
  const form = el("form", { class: "filters" });
  const list = el("div");
  root.append(el("h1", {}, title ?? kind), form, list);
  const update = async () => {
    const page = await read(`objects/${kind}`, {
      limit: PAGE,
      starting_after: state.cursors.at(-1),
      ...filtered(state.filters),
    });
    showFilters(form, page.filters, state, update);
    const shown = JSON.stringify(page);
    if (shown === state.last) return;
    state.last = shown;
    list.replaceChildren(pageTable(kind, page), pageButtons(page, state, update));
  };
  await update();
  return { update, concerns: (change) => change.topic === kind };
}

function showFilters(form, filters, state, update) {
  // The fields stay while a person uses them, unless the choices have changed.
  const offered = JSON.stringify(filters);
  if (form.dataset.offered === offered) return;
  form.dataset.offered = offered;
  const change = (name) => (event) => {
    state.filters[name] = event.target.value;
    state.cursors = [];
    update();
  };
  form.replaceChildren(
    ...Object.entries(filters).map(([name, values]) => {
      const choices = values.length ? [["", "any"], ...values] : [];
      const given = { onchange: change(name), value: state.filters[name] ?? "" };
      return control(titled(name), name, choices, given);
    }),
  );
  form.onsubmit = (event) => event.preventDefault();
}

function pageTable(kind, page) {
  const names = COLUMNS[kind] ?? [];
  const isEvent = kind === "event";
  const rows = page.data.map((value, index) =>
    row(
      link(value.id, addressOf(kind, value.id), { class: "mono" }),
      ...names.map((name) => cell(name, value[name])),
      ...(isEvent ? eventCells(value, page.changes[index]) : []),
      value.created ? time(value.created) : "",
    ),
  );
  const heads = [...names.map(titled), ...(isEvent ? ["Object", "Changed"] : [])];
  return table(["Id", ...heads, "Created"], rows, "Nothing here yet.");
}

function eventCells(event, changes) {
  return [idLink(event.data.object.id ?? ""), changedNames(changes)];
}

function cell(name, value) {
  if (name === "status") return badge(value);
  if (typeof value === "string") return idLink(value);
  return Array.isArray(value) ? value.join(", ") : String(value ?? "");
}

function titled(name) {
  const text = name.replaceAll("_", " ");
  return text[0].toUpperCase() + text.slice(1);
}

function pageButtons(page, state, update) {
  const turn = (move) => () => {
    move();
    update();
  };
  const newer = button("Newer", turn(() => state.cursors.pop()), {
    disabled: state.cursors.length === 0,
  });
  const older = button("Older", turn(() => state.cursors.push(page.data.at(-1).id)), {
    disabled: !page.has_more,
  });
  const total = el("span", { class: "quiet" }, `${page.total} in all`);
  return el("p", { class: "pager" }, newer, older, total);
}

/** One object: its state, what can be done with it, its JSON, and its life so far. */
export async function openObject(root, { kind, id }, tell) {
  const head = el("h1", { class: "mono" }, id);
  const body = el("div");
  root.append(el("p", {}, link(kind, `#/objects/${kind}`)), head, body);
  let last = "";
  const update = async () => {
    const [{ object: value, actions }, life] = await Promise.all([
      read(`objects/${kind}/${encodeURIComponent(id)}`),
      read("objects/event", { limit: PAGE, ...filtered({ subject: id }) }),
    ]);
    const shown = JSON.stringify([value, actions, life]);
    if (shown === last) return;
    last = shown;
    body.replaceChildren(
      el("p", {}, value.status ? badge(value.status) : "", " ", hostedLink(value)),
      actionList(actions, kind, update, tell),
      json(value, { place: id }),
      el("h2", {}, "Life so far"),
      lifeTable(life),
    );
  };
  await update();
  return { update, concerns: (change) => [kind, "event"].includes(change.topic) };
}

function hostedLink(value) {
  const address = value.url ?? value.redirect_url ?? "";
  if (!address.startsWith(`${location.origin}/`)) return "";
  return link("Open its page", address, { target: "_blank", rel: "noreferrer" });
}

function lifeTable(life) {
  const rows = life.data.map((event, index) =>
    row(
      time(event.created),
      link(event.type, `#/events/${event.id}`),
      changedNames(life.changes[index]),
    ),
  );
  return table(["Time", "Event", "Changed"], rows, "No event is about this object.");
}

/** Forms of what can be done; each is one request. */
export function actionList(actions, kind, update, tell) {
  if (actions.length === 0) return el("p", { class: "quiet" }, "Nothing can be done with it now.");
  return el(
    "div",
    { class: "actions", role: "group", "aria-label": "Actions" },
    actions.map((action) => actionForm(action, kind, update, tell)),
  );
}

function actionForm(action, kind, update, tell) {
  const fields = action.fields.map((field) =>
    control(field.label, field.name, field.choices, { required: !field.optional }),
  );
  const submit = async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    const answer = await send(action.method, action.path, { ...action.params, ...given });
    const refused = answer.status !== 200;
    tell(refused ? `${action.label}: ${refusalText(answer)}` : `${action.label}: done.`, refused);
    if (answer.body.deleted) location.hash = `#/objects/${kind}`;
    else await update();
  };
  const look = { onsubmit: submit, class: fields.length ? "boxed" : null };
  return el("form", look, ...fields, el("button", { type: "submit" }, action.label));
}
