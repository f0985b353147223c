// Builds what the console shows. Text is only ever set as text, so nothing in it can run.

/** Make an element. A property that starts with "on" is a listener; null leaves one out. */
export function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export function button(label, onclick, properties = {}) {
  return el("button", { type: "button", class: "plain", onclick, ...properties }, label);
}

export function link(label, href, properties = {}) {
  return el("a", { href, ...properties }, label);
}

export function table(heads, rows, empty) {
  if (rows.length === 0) return el("p", { class: "quiet" }, empty);
  // A phone shows each row as a card, in which each cell says what it is.
  for (const each of rows) [...each.cells].forEach((cell, at) => (cell.dataset.label = heads[at]));
  const head = el("tr", {}, heads.map((text) => el("th", { scope: "col" }, text)));
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" },
    el("table", {}, el("thead", {}, head), el("tbody", {}, rows)),
  );
}

export function row(...cells) {
  return el("tr", {}, cells.map((cell) => el("td", {}, cell ?? "")));
}

/** A labelled choice, or a labelled text where there are no choices. */
export function control(label, name, choices, properties = {}) {
  const input = choices.length
    ? el("select", { name, ...properties }, choices.map(option))
    : el("input", { name, ...properties });
  return el("label", {}, `${label} `, input);
}

function option(choice) {
  const [value, label] = Array.isArray(choice) ? choice : [choice, choice];
  return el("option", { value }, label);
}

/** A time of the API as text, in UTC. */
export function time(seconds) {
  const text = new Date(seconds * 1000).toISOString();
  return el("time", { datetime: text }, text.slice(0, 19).replace("T", " "));
}

/** A status as a word with the colour that it deserves. */
export function badge(word) {
  const good = ["verified", "delivered", "enabled", "confirmed", "fulfillment_complete"];
  const bad = ["canceled", "failed", "rejected", "dropped", "disabled"];
  const tone = good.includes(word) ? "good" : bad.includes(word) ? "bad" : "";
  return el("span", { class: `badge ${tone}` }, word);
}

export function code(text, properties = {}, ...more) {
  return el("code", properties, text, ...more);
}

/** Put the text of an element into the clipboard; where that is not allowed, select it. */
export async function copy(element, pressed) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    pressed.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(element);
    pressed.textContent = "Selected";
  }
  setTimeout(() => (pressed.textContent = "Copy"), 1500);
}

export function copied(text) {
  const shown = el("pre", {}, text);
  const pressed = button("Copy", () => copy(shown, pressed));
  return el("div", { class: "copied" }, shown, pressed);
}
