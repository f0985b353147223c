// Events with what each changed, and deliveries with the request and the answer of every attempt.

import { filtered, read, refusalText, send } from "./console-api.js";
import { changeTable } from "./console-changes.js";
import { badge, button, code, copied, el, link, row, table, time } from "./console-dom.js";
import { idLink, json, secret } from "./console-json.js";
import { actionList } from "./console-objects.js";

const DELIVERY = "sandbox.webhook_delivery";

/** One event: what it changed, where it was delivered, and its JSON. */
export async function openEvent(root, { id }, tell) {
  const body = el("div");
  root.append(el("p", {}, link("Events", "#/events")), el("h1", { class: "mono" }, id), body);
  let last = "";
  const update = async () => {
    const [{ object: event, actions, changes }, deliveries] = await Promise.all([
      read(`objects/event/${id}`),
      read(`objects/${DELIVERY}`, { limit: 100, ...filtered({ event: id }) }),
    ]);
    const shown = JSON.stringify([event, deliveries.data]);
    if (shown === last) return;
    last = shown;
    const about = idLink(event.data.object.id ?? "");
    body.replaceChildren(
      el("p", {}, code(event.type), " about ", about, " at ", time(event.created)),
      actionList(actions, "event", update, tell),
      el("h2", {}, "What it changed"),
      changeTable(event, changes),
      el("h2", {}, "Deliveries"),
      deliveryTable(deliveries.data),
      el("h2", {}, "The event"),
      json(event, { place: id }),
    );
  };
  await update();
  return { update, concerns: (change) => ["event", DELIVERY].includes(change.topic) };
}

function deliveryTable(deliveries) {
  const rows = deliveries.map((each) =>
    row(
      link(each.id, `#/deliveries/${each.id}`, { class: "mono" }),
      badge(each.status),
      idLink(each.webhook_endpoint),
      each.attempts.map((attempt) => attempt.status ?? attempt.error).join(", "),
    ),
  );
  const heads = ["Delivery", "Status", "Endpoint", "Attempts"];
  return table(heads, rows, "No endpoint wanted this event.");
}

/** One delivery: each attempt with its request and its answer. */
export async function openDelivery(root, { id }, tell) {
  const body = el("div");
  root.append(el("p", {}, link("Deliveries", "#/deliveries")), el("h1", { class: "mono" }, id), body);
  let last = "";
  const update = async () => {
    const delivery = await read(`webhooks/deliveries/${id}`);
    const shown = JSON.stringify(delivery);
    if (shown === last) return;
    last = shown;
    const about = [idLink(delivery.event), " to ", idLink(delivery.webhook_endpoint)];
    body.replaceChildren(
      el("p", {}, badge(delivery.status), " ", ...about),
      el("p", {}, button("Resend", () => resend(delivery, tell))),
      ...delivery.attempts.map((attempt, index) => attemptCard(attempt, index, id)),
    );
    if (delivery.attempts.length === 0) body.append(el("p", { class: "quiet" }, "No attempt yet."));
  };
  await update();
  return { update, concerns: (change) => ["event", DELIVERY].includes(change.topic) };
}

async function resend(delivery, tell) {
  const { event, webhook_endpoint } = delivery;
  const answer = await send("POST", "/_sandbox/webhooks/resend", { event, webhook_endpoint });
  const refused = answer.status !== 200;
  tell(refused ? refusalText(answer) : "Sent again, as a new delivery.", refused);
}

function attemptCard(attempt, index, id) {
  const result = attempt.status ? `answered with ${attempt.status}` : `failed: ${attempt.error}`;
  return el(
    "section",
    { class: "card" },
    el("h2", {}, `Attempt ${index + 1}: ${result}`),
    el("p", {}, time(attempt.at)),
    el("h3", {}, "Request"),
    message(attempt.request, `${id}.${index}.request`, (request) => `POST ${request.url}`),
    el("h3", {}, "Answer"),
    message(attempt.answer, `${id}.${index}.answer`, (answer) => `HTTP ${answer.status}`),
  );
}

function message(sent, place, firstLine) {
  if (!sent) return el("p", { class: "quiet" }, "None.");
  const headers = Object.entries(sent.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  const text = [firstLine(sent), ...headers, "", sent.body].join("\n");
  // An address can hold a secret and a body somebody's data: nothing is shown unasked.
  const name = place.endsWith("request") ? "the request" : "the answer";
  return el("p", {}, secret(name, place, (holder) => holder.append(copied(text))));
}
