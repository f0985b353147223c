// The official Node SDK through the life of one kind of resource, against the sandbox at SANDBOX_URL.
// The name of the scenario is the only argument; a failed assertion ends the process with status 1.

"use strict";

const assert = require("node:assert/strict");
const http = require("node:http");
const Stripe = require("stripe");

const { hostname: host, port, origin } = new URL(process.env.SANDBOX_URL);
const key = "sk_test_node";
const options = { host, port, protocol: "http", maxNetworkRetries: 0, telemetry: false };
const stripe = new Stripe(key, options);
const restricted = new Stripe("rk_test_node", options);

// Let people, suppliers and time act: a control route of the sandbox.
async function act(path, params = {}) {
  const response = await fetch(`${origin}/_sandbox/${path}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify(params),
  });
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  return answer;
}

async function refused(call, type, statusCode, code, param) {
  const error = await call.then(() => assert.fail("was not refused"), (reason) => reason);
  assert.equal(error.type, type, error.stack);
  assert.deepEqual([error.statusCode, error.code, error.param], [statusCode, code, param]);
  assert.match(error.requestId, /^req_/);
  return error;
}

// A server on this machine that keeps what it gets.
async function listening(use) {
  const got = [];
  const server = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    got.push({ headers: request.headers, body: Buffer.concat(parts).toString() });
    response.writeHead(200, { "Content-Type": "application/json" }).end('{"paid": true}');
  });
  await new Promise((listens) => server.listen(0, "127.0.0.1", listens));
  try {
    await use(`http://127.0.0.1:${server.address().port}/`, got);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function typesOf(events) {
  const page = await events;
  return page.data.map((event) => event.type);
}

const scenarios = {
  async identity() {
    const sessions = stripe.identity.verificationSessions;
    let session = await sessions.create({
      type: "document",
      metadata: { user: "42", "ünï": "[a]&b=+%" },
      options: { document: { allowed_types: ["passport"], require_matching_selfie: true } },
    });
    assert.equal(session.status, "requires_input");
    assert.deepEqual({ ...session.metadata }, { user: "42", "ünï": "[a]&b=+%" });
    session = await sessions.update(session.id, { metadata: { user: "" } });
    assert.ok(!("user" in session.metadata));

    const path = `identity/verification_sessions/${session.id}`;
    await act(`${path}/fail`, { code: "document_expired" });
    session = await sessions.retrieve(session.id);
    assert.equal(session.last_error.code, "document_expired");
    await act(`${path}/verify`);
    const expand = ["verified_outputs", "last_verification_report"];
    session = await sessions.retrieve(session.id, { expand });
    assert.equal(session.status, "verified");
    const report = session.last_verification_report;
    assert.equal(report.document.first_name, session.verified_outputs.first_name);
    assert.equal(report.selfie.status, "verified");
    const reports = stripe.identity.verificationReports;
    assert.equal((await reports.retrieve(report.id)).verification_session, session.id);
    assert.equal((await reports.list({ verification_session: session.id })).data.length, 2);
    await refused(
      sessions.retrieve(session.id, { expand: ["verified_outputs.dob"] }),
      "StripePermissionError", 403, undefined, "expand",
    );
    const dob = ["verified_outputs.dob"];
    const shown = await restricted.identity.verificationSessions.retrieve(session.id, { expand: dob });
    assert.equal(typeof shown.verified_outputs.dob.year, "number");

    assert.equal((await sessions.redact(session.id)).redaction.status, "processing");
    await act(`${path}/finish_redaction`);
    assert.equal((await sessions.retrieve(session.id)).redaction.status, "redacted");
    const other = await sessions.create({ type: "id_number" });
    assert.equal((await sessions.cancel(other.id)).status, "canceled");
    await refused(
      sessions.cancel(other.id), "StripeInvalidRequestError", 400, "status_transition_invalid",
    );
  },

  async climate() {
    const { orders, products, suppliers } = stripe.climate;
    const [product] = (await products.list({ limit: 1 })).data;
    assert.equal((await products.retrieve(product.id)).name, product.name);
    const [supplier] = product.suppliers;
    assert.equal((await suppliers.retrieve(supplier.id)).name, supplier.name);
    assert.equal((await suppliers.list()).data.length, 4);

    let order = await orders.create({ product: product.id, amount: 10000, currency: "usd" });
    assert.equal(order.status, "confirmed");
    assert.ok(order.amount_total <= 10000);
    assert.equal(order.beneficiary.public_name, "Pinstripe Sandbox");
    order = await orders.update(order.id, { beneficiary: { public_name: "Ada" } });
    assert.equal(order.beneficiary.public_name, "Ada");
    assert.ok((await act(`climate/orders/${order.id}/delay`)).delayed_at);
    await act(`climate/orders/${order.id}/deliver`);
    order = await orders.retrieve(order.id, { expand: ["product"] });
    assert.deepEqual([order.status, order.product.id], ["delivered", product.id]);
    const share = (total, detail) => total + Number(detail.metric_tons);
    const delivered = order.delivery_details.reduce(share, 0);
    assert.ok(Math.abs(delivered - Number(order.metric_tons)) < 1e-9);

    const canceled = await orders.create({ product: product.id, metric_tons: "0.01" });
    assert.equal(String(canceled.metric_tons), "0.01");
    assert.equal((await orders.cancel(canceled.id)).cancellation_reason, "requested");
    assert.deepEqual((await orders.list()).data.map((one) => one.id), [canceled.id, order.id]);
    const everything = { product: product.id, metric_tons: "99999999" };
    const error = await refused(
      orders.create(everything),
      "StripeInvalidRequestError", 400, "out_of_inventory", "metric_tons",
    );
    assert.match(error.message, /^Only [0-9.]+ metric tons of .* are available\.$/);
    const types = await typesOf(stripe.events.list({ type: "climate.order.*" }));
    const lives = ["canceled", "created", "delivered", "delayed", "created"];
    assert.deepEqual(types, lives.map((step) => `climate.order.${step}`));
  },

  // The stable SDK has no methods for the onramp, which is a preview.
  async crypto() {
    const path = "/v1/crypto/onramp_sessions";
    const amount = { source_amount: "25", source_currency: "usd" };
    const made = await stripe.rawRequest("POST", path, amount);
    assert.equal(made.transaction_details.source_amount, "25.00");
    const done = await act(`crypto/onramp_sessions/${made.id}/complete`);
    assert.equal(done.status, "fulfillment_complete");
    const shown = await stripe.rawRequest("GET", `${path}/${made.id}`);
    assert.ok(shown.transaction_details.transaction_id);
    assert.equal((await stripe.rawRequest("GET", `${path}?limit=1`)).data[0].id, made.id);
    const quotes = "/v1/crypto/onramp/quotes?destination_currencies[]=eth";
    const { destination_network_quotes: found } = await stripe.rawRequest("GET", quotes);
    assert.equal(found.base_network.length, 1);
    await refused(
      stripe.rawRequest("POST", path, { source_amount: "25" }),
      "StripeInvalidRequestError", 400, "crypto_onramp_missing_source_currency",
    );
  },

  async files() {
    const data = Buffer.from("%PDF-1.7 x");
    const upload = { data, name: "a.pdf", type: "application/pdf" };
    const file = await stripe.files.create({ purpose: "dispute_evidence", file: upload });
    assert.deepEqual([file.filename, file.size, file.links.data], ["a.pdf", data.length, []]);
    let link = await stripe.fileLinks.create({ file: file.id, metadata: { a: "b" } });
    assert.equal(await (await fetch(link.url)).text(), "%PDF-1.7 x");
    const shown = await stripe.files.retrieve(file.id, { expand: ["links"] });
    assert.deepEqual(shown.links.data.map((one) => one.id), [link.id]);
    const linked = await stripe.fileLinks.retrieve(link.id, { expand: ["file"] });
    assert.equal(linked.file.id, file.id);
    link = await stripe.fileLinks.update(link.id, { expires_at: "now" });
    assert.deepEqual([link.expired, link.url], [true, null]);
    assert.equal((await stripe.fileLinks.list({ expired: true })).data.length, 1);
    assert.equal((await stripe.files.list({ purpose: "dispute_evidence" })).data[0].id, file.id);
  },

  async forwarding() {
    await listening(async (url, got) => {
      const made = await stripe.forwarding.requests.create({
        payment_method: "pm_card_visa",
        url,
        replacements: ["card_number"],
        request: { body: '{"number": ""}' },
      });
      assert.equal(got.length, 1);
      assert.match(got[0].body, /"number": "[0-9]{16}"/);
      assert.equal(made.response_details.status, 200);
      assert.equal(made.response_details.body, '{"paid": true}');
      const shown = await stripe.forwarding.requests.retrieve(made.id);
      assert.doesNotMatch(shown.request_details.body, /[0-9]{16}/);
      assert.equal((await stripe.forwarding.requests.list()).data[0].id, made.id);
    });
  },

  async webhooks() {
    await listening(async (url, got) => {
      const endpoints = stripe.webhookEndpoints;
      const made = await endpoints.create({ url, enabled_events: ["*"] });
      const session = await stripe.identity.verificationSessions.create({ type: "document" });
      await act("webhooks/flush");
      const [{ headers, body }] = got;
      const event = stripe.webhooks.constructEvent(body, headers["stripe-signature"], made.secret);
      assert.equal(event.type, "identity.verification_session.created");
      assert.equal(event.data.object.id, session.id);
      const kept = await stripe.events.retrieve(event.id);
      assert.deepEqual([kept.type, kept.pending_webhooks], [event.type, 0]);

      const known = { enabled_events: ["file.created"], disabled: true };
      const changed = await endpoints.update(made.id, known);
      assert.deepEqual([changed.status, changed.enabled_events], ["disabled", ["file.created"]]);
      await refused(
        endpoints.update(made.id, { enabled_events: ["file.create"] }),
        "StripeInvalidRequestError", 400, undefined, "enabled_events[0]",
      );
      await refused(
        endpoints.create({ url, enabled_events: ["*"], api_version: "2026-08-26.clover" }),
        "StripeInvalidRequestError", 400, undefined, "api_version",
      );
      assert.equal((await endpoints.retrieve(made.id)).secret, undefined);
      assert.equal((await endpoints.list()).data.length, 1);
      assert.equal((await endpoints.del(made.id)).deleted, true);
      await refused(
        endpoints.retrieve(made.id),
        "StripeInvalidRequestError", 404, "resource_missing", "webhook_endpoint",
      );
    });
  },

  async requests() {
    const sessions = stripe.identity.verificationSessions;
    await act("identity/seed", { count: 25 });
    const ids = new Set();
    for await (const session of sessions.list({ limit: 10 })) ids.add(session.id);
    assert.equal(ids.size, 25);
    assert.equal((await sessions.list({ limit: 101 })).data.length, 25);
    assert.equal((await sessions.list({ limit: 0 })).data.length, 1);
    await refused(
      sessions.list({ starting_after: "vs_a", ending_before: "vs_b" }),
      "StripeInvalidRequestError", 400, undefined, undefined,
    );

    const once = { idempotencyKey: "once" };
    const made = await sessions.create({ type: "document" }, once);
    const replay = await sessions.create({ type: "document" }, once);
    assert.equal(replay.id, made.id);
    const [first, second] = [made, replay].map((answer) => answer.lastResponse.headers);
    assert.equal(first["original-request"], made.lastResponse.requestId);
    assert.equal(second["original-request"], made.lastResponse.requestId);
    assert.deepEqual(
      [first, second].map((headers) => headers["idempotent-replayed"]), [undefined, "true"],
    );
    await refused(sessions.create({ type: "id_number" }, once), "StripeIdempotencyError", 400);

    const connected = { stripeAccount: "acct_known" };
    assert.equal((await sessions.list({}, connected)).data.length, 0);
    await refused(
      sessions.list({}, { stripeAccount: "acct_unknown" }),
      "StripePermissionError", 403, "account_invalid",
    );
    await refused(
      sessions.list({}, { apiVersion: "2026-08-26.clover" }), "StripeInvalidRequestError", 400,
    );
    await refused(
      sessions.list({}, { apiKey: "pk_test_node" }),
      "StripeAuthenticationError", 401, "secret_key_required",
    );
  },
};

scenarios[process.argv[2]]().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
