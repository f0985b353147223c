// Shows objects as JSON: private values behind a button, ids as links.

import { el, link } from "./console-dom.js";

let kinds = [];
let privateFields = {};
let privateParams = new Set();
// The places of what a person has asked to see, until another view is opened.
const revealed = new Set();

export function describeKinds(description) {
  kinds = description.kinds;
  privateFields = description.private;
  privateParams = new Set(description.private_params);
}

export function hideAgain() {
  revealed.clear();
}

/** JSON of a value; `kind` says which fields are private where the value does not. */
export function json(value, { kind = null, place = "" } = {}) {
  const shown = el("pre", { class: "json", tabindex: "0", role: "region", "aria-label": "JSON" });
  write(shown, value, privateFields[kind] ?? {}, "", place);
  return shown;
}

/** JSON of a value inside an object of a kind, where the names lead; hidden if it is private. */
export function valueAt(kind, names, value, place) {
  const out = el("span", { class: "json-line" });
  let tree = privateFields[kind] ?? {};
  for (const name of names) tree = tree === true ? true : (tree[name] ?? {});
  const fill = (holder) => write(holder, value, {}, "", place);
  if (tree === true && !isEmpty(value)) out.append(secret(names.join("."), place, fill));
  else write(out, value, tree === true ? {} : tree, "", place);
  return out;
}

/** A button in place of something private, which shows it. */
export function secret(name, place, fill) {
  const holder = el("span");
  const open = () => {
    revealed.add(place);
    holder.replaceChildren();
    fill(holder);
  };
  if (revealed.has(place)) open();
  else {
    const shown = el("button", { type: "button", class: "secret" }, "show");
    shown.setAttribute("aria-label", `Show ${name}`);
    shown.addEventListener("click", open);
    holder.append(shown);
  }
  return holder;
}

/** The parameters of a request in one line, private ones behind buttons. */
export function params(values, place) {
  const line = el("span", { class: "params" });
  for (const [path, text] of flat(values)) {
    const hidden = path.split(/[[\]]+/).some((name) => privateParams.has(name));
    const fill = (holder) => holder.append(text);
    line.append(el("span", {}, `${path}=`, hidden ? secret(path, `${place}.${path}`, fill) : text));
  }
  return line;
}

/** A link to the object with an id, or its text where no kind has such ids. */
export function idLink(text, properties = {}) {
  const kind = kinds.find((each) => text.startsWith(each.prefix));
  return kind ? link(text, addressOf(kind.name, text), properties) : text;
}

export function addressOf(kind, id) {
  if (kind === "event") return `#/events/${id}`;
  if (kind === "sandbox.webhook_delivery") return `#/deliveries/${id}`;
  return `#/objects/${kind}/${encodeURIComponent(id)}`;
}

function flat(value, path = "") {
  if (value === null || typeof value !== "object") return [[path, String(value)]];
  return Object.entries(value).flatMap(([name, inner]) =>
    flat(inner, path ? `${path}[${name}]` : name),
  );
}

function write(out, value, hidden, indent, place) {
  if (Array.isArray(value) && value.length) return writeItems(out, value, hidden, indent, place);
  if (value === null || typeof value !== "object" || !Object.keys(value).length) {
    out.append(typeof value === "string" ? scalar(value) : JSON.stringify(value));
    return undefined;
  }
  // An object inside another says by itself what it is, and so what of it is private.
  const tree = privateFields[value.object] ?? previousOf(value) ?? hidden;
  const deeper = `${indent}  `;
  out.append("{\n");
  const entries = Object.entries(value);
  entries.forEach(([name, inner], index) => {
    out.append(`${deeper}${JSON.stringify(name)}: `);
    const at = `${place}.${name}`;
    const below = tree[name] ?? {};
    if (below === true && !isEmpty(inner)) {
      out.append(secret(name, at, (holder) => write(holder, inner, {}, deeper, at)));
    } else write(out, inner, below === true ? {} : below, deeper, at);
    out.append(index < entries.length - 1 ? ",\n" : "\n");
  });
  out.append(`${indent}}`);
  return undefined;
}

// The data of an event: what is private in its object is so in the values before it.
function previousOf(value) {
  const below = privateFields[value.object?.object];
  return below && value.previous_attributes ? { previous_attributes: below } : null;
}

function writeItems(out, items, hidden, indent, place) {
  const deeper = `${indent}  `;
  out.append("[\n");
  items.forEach((item, index) => {
    out.append(deeper);
    write(out, item, hidden, deeper, `${place}[${index}]`);
    out.append(index < items.length - 1 ? ",\n" : "\n");
  });
  out.append(`${indent}]`);
}

function scalar(text) {
  const made = el("span");
  const linked = idLink(text);
  made.append('"', typeof linked === "string" ? JSON.stringify(text).slice(1, -1) : linked, '"');
  return made;
}

function isEmpty(value) {
  return value === null || (typeof value === "object" && Object.keys(value).length === 0);
}
