// Requests of the console: to control routes and to the API, for the account that is chosen.

const KEY = "rk_test_pinstripe_sandbox";
const RETRY_MS = 1000;

let account = sessionStorage.getItem("account");

export function chosenAccount() {
  return account;
}

export function chooseAccount(id) {
  account = id || null;
  if (account) sessionStorage.setItem("account", account);
  else sessionStorage.removeItem("account");
}

/** Send a request; returns its status and its body, also for an error. */
export async function send(method, path, params = {}, headers = {}) {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== "" && value !== null && value !== undefined) form.append(name, value);
  }
  return sendForm(method, path, form, headers);
}

/** Send a form as it is, with its empty values. */
export async function sendForm(method, path, form, headers = {}) {
  const sent = { Authorization: `Bearer ${KEY}`, ...headers };
  if (account) sent["Stripe-Account"] = account;
  if (!sent.Authorization) delete sent.Authorization;
  const inQuery = method !== "POST" && form.size > 0;
  const response = await fetch(inQuery ? `${path}?${form}` : path, {
    method,
    headers: sent,
    body: method === "POST" ? form : undefined,
    cache: "no-store",
  });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : {} };
}

/** Read a control route, given by its path below `/_sandbox/`; throws if it refuses. */
export async function read(path, params = {}) {
  const answer = await send("GET", `/_sandbox/${path}`, params);
  if (answer.status !== 200) throw new Error(refusalText(answer));
  return answer.body;
}

/** The parameters of a filter, named as the list of objects takes them. */
export function filtered(values) {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`filter[${name}]`, value]),
  );
}

export function refusalText(answer) {
  const { code, message } = answer.body.error ?? {};
  return [answer.status, code].filter(Boolean).join(" ") + (message ? `: ${message}` : "");
}

/**
 * Follow the changes of the sandbox until the page is left. `onChange` gets each event; `onState`
 * is told whether the stream is open. A stream that ends is opened again.
 */
export async function follow(onChange, onState) {
  for (;;) {
    try {
      const response = await fetch("/_sandbox/stream", {
        headers: { Authorization: `Bearer ${KEY}` },
        cache: "no-store",
      });
      if (!response.ok) throw new Error(`status ${response.status}`);
      onState(true);
      await readEvents(response.body, onChange);
    } catch {
      // The sandbox has stopped or is not there: tried again below.
    }
    onState(false);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

async function readEvents(body, onChange) {
  // An `EventSource` cannot send the key, so the events are read from the answer itself.
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data) onChange(JSON.parse(data.slice("data: ".length)));
    }
  }
}
