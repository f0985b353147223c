// The console: which view is shown, for which account, and when it looks again.

import { chooseAccount, chosenAccount, follow, read, refusalText, send } from "./console-api.js";
import { copy, el, time } from "./console-dom.js";
import { openErrors } from "./console-errors.js";
import { openFaults } from "./console-faults.js";
import { describeKinds, hideAgain } from "./console-json.js";
import { openKinds, openList, openObject } from "./console-objects.js";
import { openRequests } from "./console-requests.js";
import { openDelivery, openEvent } from "./console-webhooks.js";

const $ = (id) => document.getElementById(id);
const EVENT = { kind: "event", title: "Events" };
const DELIVERY = { kind: "sandbox.webhook_delivery", title: "Deliveries" };

let description;
let current = null;
let pending = false;
let busy = false;
// How far the clock of the sandbox is ahead of this machine's, in seconds.
let ahead = 0;

function tell(text, isBad = false) {
  $("message").textContent = text;
  $("message").hidden = !text;
  $("message").className = isBad ? "bad" : "good";
}

/** The view of an address such as `#/objects/file/file_1`: a function and its arguments. */
function viewOf(hash) {
  const [name, first, ...rest] = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const id = rest.join("/");
  if (name === "objects" && id) return [openObject, { kind: first, id }];
  if (name === "objects" && first) return [openList, { kind: first }];
  if (name === "objects") return [openKinds, {}];
  if (name === "events") return first ? [openEvent, { id: first }] : [openList, EVENT];
  if (name === "deliveries") return first ? [openDelivery, { id: first }] : [openList, DELIVERY];
  if (name === "requests") return [openRequests, {}];
  if (name === "faults") return [openFaults, {}];
  if (name === "errors") return [openErrors, { description }];
  return [null, {}];
}

async function show() {
  const [open, given] = viewOf(location.hash);
  current = null;
  hideAgain();
  tell("");
  $("start").hidden = open !== null;
  $("view").hidden = open === null;
  const chosen = `#/${location.hash.split("/")[1] || "start"}`;
  for (const each of document.querySelectorAll("nav a")) {
    if (each.getAttribute("href") === chosen) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  const root = el("div");
  $("view").replaceChildren(root);
  if (open === null) return;
  try {
    const view = await open(root, given, tell);
    // Another view may have been opened meanwhile.
    if (root.isConnected) current = view;
  } catch (error) {
    if (root.isConnected) tell(error.message, true);
  }
}

/** Look again, one time after the other, however fast the changes come. */
async function refresh() {
  pending = true;
  if (busy) return;
  busy = true;
  while (pending) {
    pending = false;
    const view = current;
    try {
      await view?.update();
    } catch (error) {
      if (view === current) tell(error.message, true);
    }
  }
  busy = false;
}

function onChange({ changed, now }) {
  showTime(now);
  const known = [...$("account").options].map((each) => each.value || null);
  if (changed.some((change) => !known.includes(change.account))) showAccounts();
  const account = chosenAccount();
  const here = (change) => change.account === null || change.account === account;
  if (changed.some((change) => here(change) && current?.concerns(change))) refresh();
}

function showTime(seconds) {
  ahead = seconds - Date.now() / 1000;
  $("now").replaceChildren(time(seconds), " UTC");
}

/** A clock that runs by itself runs here too. */
function tick() {
  showTime(Date.now() / 1000 + ahead);
}

async function showAccounts() {
  const { accounts } = await read("accounts");
  const ids = new Set([null, ...accounts.map((each) => each.id), chosenAccount()]);
  const options = [...ids].map((id) => el("option", { value: id ?? "" }, id ?? "of the key"));
  $("account").replaceChildren(...options);
  $("account").value = chosenAccount() ?? "";
}

function watchTools() {
  $("account").addEventListener("change", () => {
    chooseAccount($("account").value);
    show();
  });
  $("travel").hidden = !description.manual_clock;
  $("travel").addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await send("POST", "/_sandbox/clock", Object.fromEntries(new FormData($("travel"))));
    if (answer.status === 200) showTime(answer.body.now);
    else tell(refusalText(answer), true);
  });
  watchReset();
  for (const each of document.querySelectorAll("[data-copy]")) {
    each.addEventListener("click", () => copy($(each.dataset.copy), each));
  }
}

function watchReset() {
  // Everything would be gone, so the button asks once more, in its own place.
  const reset = $("reset");
  const calm = () => {
    reset.textContent = "Reset";
    delete reset.dataset.sure;
  };
  reset.addEventListener("blur", calm);
  reset.addEventListener("click", async () => {
    if (!reset.dataset.sure) {
      reset.dataset.sure = "asked";
      reset.textContent = "Delete everything?";
      return;
    }
    calm();
    const answer = await send("POST", "/_sandbox/reset");
    if (answer.status === 200) chooseAccount(null);
    await showAccounts();
    await show();
    if (answer.status === 200) tell("Everything is as at the start.");
    else tell(refusalText(answer), true);
  });
}

async function start() {
  description = await read("console");
  describeKinds(description);
  await showAccounts();
  watchTools();
  if (!description.manual_clock) setInterval(tick, 1000);
  window.addEventListener("hashchange", show);
  await show();
  follow(onChange, (open) => {
    $("live").textContent = open ? "live" : "not connected";
    $("live").className = open ? "good" : "bad";
    // What happened while nobody looked is there at the next look.
    if (open) {
      showAccounts();
      refresh();
    }
  });
}

start();
