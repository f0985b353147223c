// What an event changed: the values before it, and after it.

import { el, row, table } from "./console-dom.js";
import { valueAt } from "./console-json.js";

/** The names of what an event changed, as a text. */
export function changedNames(before) {
  if (before === null) return "first event";
  const names = Object.keys(before);
  return names.length ? names.join(", ") : "nothing";
}

/** What an event changed, as a table of values before and after it. */
export function changeTable(event, before) {
  if (before === null) {
    return el("p", { class: "quiet" }, "This is the first event about the object.");
  }
  const now = event.data.object;
  const rows = leaves(before).map(([names, value]) => {
    const after = names.reduce((inner, name) => inner?.[name], now) ?? null;
    const place = names.join(".");
    return row(
      place,
      valueAt(now.object, names, value, `before.${place}`),
      valueAt(now.object, names, after, `after.${place}`),
    );
  });
  return table(["Field", "Before", "After"], rows, "The object is as it was in the event before.");
}

function leaves(value, names = []) {
  const inside = value !== null && typeof value === "object" && !Array.isArray(value);
  if (!inside || Object.keys(value).length === 0) return [[names, value]];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, [...names, name]));
}
