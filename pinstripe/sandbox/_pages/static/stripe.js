// Takes the place of Stripe's own scripts in the front end of a shop:
//
//   <script src="http://127.0.0.1:12111/_sandbox/stripe.js"></script>
//
//   const { error } = await Stripe("pk_test_any").verifyIdentity(clientSecret);
//   StripeOnramp("pk_test_any").createSession({ clientSecret }).mount("#onramp");
//
// Each shows a hosted page of the sandbox in a frame. The page of the shop sends nothing to the
// sandbox; the frame does, and says here what happened.
"use strict";
(() => {
  const sandbox = new URL(document.currentScript.src).origin;
  const CANCELLED = {
    code: "session_cancelled",
    message: "The person closed the verification before its end.",
    type: "invalid_request_error",
  };

  class IntegrationError extends Error {
    name = "IntegrationError";
  }

  const checkKey = (key) => {
    if (!/^pk_test_\w+$/.test(key)) {
      throw new IntegrationError("The sandbox takes a publishable test key, such as pk_test_any.");
    }
  };

  const openFrame = (path, secret, title, hear) => {
    if (typeof secret !== "string" || !secret.includes("_secret_")) {
      throw new IntegrationError("A client secret is needed, such as vs_..._secret_...");
    }
    const frame = document.createElement("iframe");
    frame.src = `${sandbox}/_sandbox/${path}/${encodeURIComponent(secret)}`;
    frame.title = title;
    Object.assign(frame.style, { border: "0", width: "100%", height: "30rem", display: "block" });
    const listener = ({ source, origin, data }) => {
      if (source !== frame.contentWindow || origin !== sandbox) return;
      if (data.type === "height") frame.style.height = `${data.height}px`;
      else hear(data);
    };
    addEventListener("message", listener);
    return {
      frame,
      end() {
        removeEventListener("message", listener);
        frame.remove();
      },
    };
  };

  const verifyIdentity = (secret) =>
    new Promise((resolve) => {
      const dialog = document.createElement("dialog");
      const finish = (result) => {
        opened.end();
        dialog.remove();
        resolve(result);
      };
      const opened = openFrame("verify", secret, "Verify your identity", (data) => {
        if (data.result) finish(data.result);
        else if (data.type === "closed") finish({ error: data.error ?? CANCELLED });
      });
      dialog.addEventListener("cancel", () => finish({ error: CANCELLED }));
      Object.assign(dialog.style, { border: "0", padding: "0", width: "min(36rem, 100%)" });
      dialog.append(opened.frame);
      document.body.append(dialog);
      dialog.showModal();
    });

  class OnrampSession {
    #secret;
    #appearance;
    #listeners = [];
    #opened = null;
    #status = null;

    constructor({ clientSecret, appearance }) {
      this.#secret = clientSecret;
      this.#appearance = appearance;
    }

    mount(place) {
      const element = typeof place === "string" ? document.querySelector(place) : place;
      if (!element) throw new IntegrationError(`There is no element ${place} to mount in.`);
      this.unmount();
      this.#opened = openFrame("onramp", this.#secret, "Buy crypto", (data) => this.#hear(data));
      element.append(this.#opened.frame);
      return this;
    }

    unmount() {
      this.#opened?.end();
      this.#opened = this.#status = null;
      return this;
    }

    setAppearance(appearance) {
      this.#appearance = appearance;
      const theme = appearance?.theme;
      if (theme) this.#opened?.frame.contentWindow.postMessage({ theme }, sandbox);
      return this;
    }

    // Both take the name of an event, or "*" for every one.
    addEventListener(type, listener) {
      this.#listeners.push({ type, listener });
      return this;
    }

    removeEventListener(type, listener) {
      this.#listeners = this.#listeners.filter(
        (each) => each.type !== type || each.listener !== listener,
      );
      return this;
    }

    // Every page of the frame says which session it shows.
    #hear({ session }) {
      if (!session) return;
      this.setAppearance(this.#appearance);
      const before = this.#status;
      this.#status = session.status;
      if (before === null) this.#dispatch("onramp_ui_loaded", session);
      else if (before !== session.status) this.#dispatch("onramp_session_updated", session);
    }

    #dispatch(type, session) {
      for (const each of [...this.#listeners]) {
        if (each.type === type || each.type === "*") each.listener({ type, payload: { session } });
      }
    }
  }

  window.Stripe = (key) => {
    checkKey(key);
    return { verifyIdentity };
  };
  window.StripeOnramp = (key) => {
    checkKey(key);
    return { createSession: (options) => new OnrampSession(options) };
  };
})();
