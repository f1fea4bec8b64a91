// The chat button of a site, and the frame that it opens. <script src="https://…/desk/widget.js" data-desk="shop" async></script>
//
// Attributes: data-desk (the desk's name), data-colour (#rrggbb), data-lang (en or de), data-position (right or left), data-theme (light,
// dark or auto), data-greeting (the first words). A page opens the chat itself by window.smidgenDesk.open().
(() => {
  const script = document.currentScript ?? document.querySelector('script[data-desk][src*="/desk/widget.js"]');
  if (!script || window.smidgenDesk || !script.dataset.desk) return;
  const { desk, colour = "", lang = "", position = "", theme = "", greeting = "" } = script.dataset;
  const base = new URL("./", script.src), storedOpen = `smidgen-desk-open:${desk}`;
  const language = (lang || document.documentElement.lang || navigator.language || "en").slice(0, 2).toLowerCase() === "de" ? "de" : "en";
  const words = {
    en: { open: "Chat with us", close: "Close the chat", title: "Chat", unread: "new message" },
    de: { open: "Chat mit uns", close: "Chat schließen", title: "Chat", unread: "neue Nachricht" },
  }[language];
  const brand = /^#[0-9a-f]{6}$/i.test(colour) ? colour : "#17656b";

  // Black or white, whichever is easier to read on the colour (WCAG 2).
  function readable(hex) {
    const [r, g, b] = [1, 3, 5].map((at) => {
      const part = parseInt(hex.slice(at, at + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#14171a" : "#ffffff";
  }

  // The site's theme: what the script says, else what the page says of itself, else what the device says.
  function siteTheme() {
    const root = document.documentElement;
    const told = [theme, root.dataset.theme, root.dataset.colorScheme, getComputedStyle(root).colorScheme];
    if (root.classList.contains("dark")) told.splice(1, 0, "dark");
    return told.find((one) => one === "light" || one === "dark") ?? "auto";
  }

  function made(tag, attributes, ...children) {
    const node = tag === "svg" || tag === "path" ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }
  const drawn = (name, path) => made("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: name }, made("path", { d: path }));

  const host = made("smidgen-desk", { "data-position": position === "left" ? "left" : "right" });
  const shadow = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE());
  shadow.adoptedStyleSheets = [sheet];
  const badge = made("span", { class: "badge", hidden: "" });
  const button = made(
    "button",
    { type: "button", class: "launcher", "aria-label": words.open, "aria-expanded": "false", "aria-haspopup": "dialog" },
    drawn("talk", "M12 3C6.9 3 3 6.5 3 11c0 2.3 1 4.3 2.7 5.7L5 21l4.4-2.3c.8.2 1.7.3 2.6.3 5.1 0 9-3.5 9-8s-3.9-8-9-8z"),
    drawn("down", "M6 9.5l6 6 6-6"),
    badge,
  );
  const panel = made("div", { class: "panel", role: "dialog", "aria-label": words.title, hidden: "" });
  shadow.append(panel, button);
  host.style.setProperty("--brand", brand);
  host.style.setProperty("--on-brand", readable(brand));

  let frame = null, opened = false, ready = false;
  function load() {
    if (frame) return;
    const told = encodeURIComponent(JSON.stringify({ colour, greeting: greeting.slice(0, 500), theme: siteTheme() }));
    frame = made("iframe", { title: words.title, src: `${new URL(`${encodeURIComponent(desk)}/frame`, base)}?lang=${language}#${told}` });
    panel.append(frame);
  }
  function tell(message) {
    if (ready) frame.contentWindow?.postMessage(message, base.origin);
  }
  function remember() {
    try {
      if (opened) sessionStorage.setItem(storedOpen, "1");
      else sessionStorage.removeItem(storedOpen);
    } catch {
      // A browser that keeps nothing: the chat is closed on the next page.
    }
  }
  function show(focus = true) {
    load();
    opened = true;
    panel.hidden = false;
    badge.hidden = true;
    host.dataset.open = "";
    button.setAttribute("aria-expanded", "true");
    button.setAttribute("aria-label", words.close);
    remember();
    fit();
    if (focus) frame.focus();
    tell({ desk: "opened", focus });
  }
  function hide() {
    opened = false;
    panel.hidden = true;
    delete host.dataset.open;
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-label", words.open);
    remember();
    tell({ desk: "closed" });
    button.focus();
  }
  // A phone's keyboard makes the visible part smaller, and a fixed element does not see that.
  function fit() {
    const visible = window.visualViewport;
    panel.style.setProperty("--visible", visible && visible.scale === 1 ? `${Math.round(visible.height)}px` : "100dvh");
  }

  button.addEventListener("click", () => (opened ? hide() : show()));
  button.addEventListener("pointerenter", load, { once: true });
  button.addEventListener("focus", load, { once: true });
  shadow.addEventListener("keydown", (event) => event.key === "Escape" && opened && hide());
  window.visualViewport?.addEventListener("resize", fit);
  window.addEventListener("message", ({ source, origin, data }) => {
    if (!frame || source !== frame.contentWindow || origin !== base.origin || typeof data !== "object" || data === null) return;
    if (data.desk === "ready") ready = true;
    if (data.desk === "ready") tell({ desk: "theme", theme: siteTheme() });
    if (data.desk === "ready") tell({ desk: opened ? "opened" : "closed", focus: opened && document.activeElement === host });
    if (data.desk === "close") hide();
    if (data.desk === "unread" && !opened) {
      badge.hidden = false;
      button.setAttribute("aria-label", `${words.open} (${words.unread})`);
    }
  });
  const watch = new MutationObserver(() => tell({ desk: "theme", theme: siteTheme() }));
  watch.observe(document.documentElement, { attributes: true, attributeFilter: ["class", "style", "data-theme", "data-color-scheme"] });

  function start() {
    document.body.append(host);
    let before = false;
    try {
      before = sessionStorage.getItem(storedOpen) === "1";
    } catch {
      before = false;
    }
    if (before && window.innerWidth > 480) show(false);
    else if (before) load();
  }
  window.smidgenDesk = Object.freeze({ open: () => show(), close: () => opened && hide() });
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);

  function STYLE() {
    return `
:host { all: initial; position: fixed; z-index: 2147483000; inset-block-end: 20px; inset-inline-end: 20px; font-family: system-ui, sans-serif; }
:host([data-position="left"]) { inset-inline: 20px auto; }
[hidden] { display: none !important; }
.launcher { position: relative; display: grid; place-items: center; inline-size: 60px; block-size: 60px; padding: 0; border: 0; border-radius: 50%;
  background: var(--brand); color: var(--on-brand); cursor: pointer; box-shadow: 0 2px 6px rgb(0 0 0 / 18%), 0 10px 28px rgb(0 0 0 / 22%);
  transition: transform 160ms cubic-bezier(0.2, 0, 0, 1), box-shadow 160ms; -webkit-tap-highlight-color: transparent; }
.launcher:hover { transform: translateY(-2px) scale(1.03); box-shadow: 0 4px 10px rgb(0 0 0 / 20%), 0 14px 36px rgb(0 0 0 / 26%); }
.launcher:active { transform: scale(0.96); }
.launcher:focus-visible { outline: 3px solid var(--brand); outline-offset: 3px; box-shadow: 0 0 0 3px #fff; }
svg { grid-area: 1 / 1; inline-size: 28px; block-size: 28px; fill: currentColor; transition: opacity 160ms, transform 200ms cubic-bezier(0.2, 0, 0, 1); }
.down { fill: none; stroke: currentColor; stroke-width: 2.4; stroke-linecap: round; stroke-linejoin: round; opacity: 0; transform: rotate(-60deg) scale(0.7); }
:host([data-open]) .talk { opacity: 0; transform: rotate(60deg) scale(0.7); }
:host([data-open]) .down { opacity: 1; transform: none; }
.badge { position: absolute; inset-block-start: 2px; inset-inline-end: 2px; inline-size: 14px; block-size: 14px; border-radius: 50%; background: #d6402b;
  border: 2px solid #fff; }
.panel { position: absolute; inset-block-end: 76px; inset-inline-end: 0; inline-size: 400px; block-size: min(640px, calc(100vh - 116px)); border-radius: 18px;
  overflow: hidden; background: Canvas; box-shadow: 0 0 0 1px rgb(128 128 128 / 16%), 0 4px 12px rgb(0 0 0 / 14%), 0 20px 60px rgb(0 0 0 / 26%); animation: rise 200ms cubic-bezier(0.2, 0, 0, 1);
  transform-origin: bottom right; }
:host([data-position="left"]) .panel { inset-inline: 0 auto; transform-origin: bottom left; }
iframe { display: block; inline-size: 100%; block-size: 100%; border: 0; color-scheme: normal; }
@keyframes rise { from { opacity: 0; transform: translateY(12px) scale(0.98); } }
@media (max-width: 480px) {
  :host { inset-block-end: 16px; inset-inline-end: 16px; }
  .panel { position: fixed; inset: 0 0 auto 0 !important; inline-size: 100%; block-size: var(--visible, 100dvh); border-radius: 0; box-shadow: none; }
  :host([data-open]) .launcher { display: none; }
}
@media (prefers-reduced-motion: reduce) { *, *::before { animation: none !important; transition: none !important; } }
@media print { :host { display: none !important; } }
`;
  }
})();
