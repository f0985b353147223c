// What an event changed: `previous_attributes` where the API gives them, else a comparison with the
// event before it about the same object.

import { filtered, read } from "./console-api.js";
import { el, row, table } from "./console-dom.js";
import { json } from "./console-json.js";

// Events hardly ever change, so the comparison of one is made once.
const known = new Map();

/** The values before an event, by field; null if it is the first about its object. */
export async function changesOf(event) {
  if (event.data.previous_attributes) return event.data.previous_attributes;
  if (!known.has(event.id)) known.set(event.id, await compared(event));
  return known.get(event.id);
}

async function compared(event) {
  const now = event.data.object;
  const page = await read("objects/event", {
    limit: 1,
    starting_after: event.id,
    ...filtered({ subject: now.id }),
  });
  const before = page.data[0]?.data.object;
  if (!before) return null;
  const names = Object.keys(now).filter((name) => !same(before[name], now[name]));
  return Object.fromEntries(names.map((name) => [name, before[name] ?? null]));
}

function same(one, other) {
  return JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
}

/** The names of what an event changed, as a text. */
export function changedNames(before) {
  if (before === null) return "first event";
  const names = Object.keys(before);
  return names.length ? names.join(", ") : "nothing";
}

/** What an event changed, as a table of values before and after it. */
export function changeTable(event, before) {
  if (before === null) return el("p", { class: "quiet" }, "This is the first event about the object.");
  const now = event.data.object;
  const rows = Object.keys(before).map((name) =>
    row(name, part(now, name, before[name], "before"), part(now, name, now[name], "after")),
  );
  return table(["Field", "Before", "After"], rows, "The object is as it was in the event before.");
}

function part(now, name, value, side) {
  return json({ [name]: value ?? null }, { kind: now.object, place: `${side}` });
}
