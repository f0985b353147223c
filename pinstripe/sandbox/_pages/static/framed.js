// Runs in a hosted page that stripe.js shows in a frame, and tells the page around it what happened.
"use strict";
(() => {
  if (parent === window) return;
  const { closing, ...page } = JSON.parse(document.currentScript.dataset.says);
  // The frame does not know the site around it. `frame-ancestors` lets only sites of this machine
  // in, and the one that opened the frame knows the client secret already.
  const say = (message) => parent.postMessage(message, "*");
  const close = () => say({ type: "closed", error: closing });

  addEventListener("message", ({ source, data }) => {
    if (source === parent && ["dark", "light"].includes(data?.theme)) {
      document.documentElement.style.colorScheme = data.theme;
    }
  });
  addEventListener("keydown", ({ key }) => {
    if (key === "Escape") close();
  });
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", close);
  }
  new ResizeObserver(() => {
    say({ type: "height", height: document.body.scrollHeight });
  }).observe(document.body);
  say({ type: "page", ...page });
})();
