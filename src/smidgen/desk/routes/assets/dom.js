// Elements made from data. Texts become text nodes: nothing that a document, a tool or a customer says is read as markup.

const PATHS = {
  send: "M4 12l16-8-5.5 16-3.5-6.5L4 12zM11 13.5L20 4",
  close: "M6 6l12 12M18 6L6 18",
  fresh: "M4 4v6h6M20 20v-6h-6M5.5 15a7 7 0 0 0 12.5 2.5L20 14M4 10l2-3.5A7 7 0 0 1 18.5 9",
  up: "M7 11v9H4v-9h3zM7 11l4.5-8c1.7 0 2.5 1.2 2.2 2.800L13 9h5.5c1.3 0 2.2 1.2 1.9 2.400l-1.6 6.5c-.3 1.2-1.3 2.1-2.6 2.100H7",
  down: "M17 13V4h3v9h-3zM17 13l-4.5 8c-1.7 0-2.5-1.2-2.2-2.800L11 15H5.5c-1.3 0-2.2-1.2-1.9-2.400l1.6-6.5C5.5 4.9 6.5 4 7.8 4H17",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20c.8-3.5 3.8-5.5 7.5-5.5s6.7 2 7.5 5.5",
  out: "M14 4h6v6M20 4l-9 9M18 14v5a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1h5",
  ask: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM9.5 9.5a2.6 2.6 0 1 1 3.6 2.4c-.8.4-1.1.9-1.1 1.8M12 16.8h.01",
  check: "M5 12.5l4.5 4.5L19 7.5",
  box: "M12 3l8 4.5v9L12 21l-8-4.5v-9L12 3zM4 7.5l8 4.5 8-4.5M12 12v9",
  tag: "M4 4h8l8 8-8 8-8-8V4zM8.5 8.5h.01",
  quote: "M9.5 7C7 7.5 5.5 9.5 5.5 12.5V17H10v-5H7.5M18.5 7c-2.5.5-4 2.5-4 5.5V17H19v-5h-2.5",
};

/** Make an element. An attribute `onNAME` is a listener; true sets an empty attribute, false and null leave it out. */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

/** A drawing of this name; hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** The address of a link from data, if it may be followed: http, https or mailto. A relative one is taken from the site. Else "". */
export function safeAddress(address, site = "", schemes = ["http:", "https:", "mailto:"]) {
  if (typeof address !== "string" || address.trim() === "") return "";
  try {
    const found = site ? new URL(address, site) : new URL(address);
    return schemes.includes(found.protocol) ? found.href : "";
  } catch {
    return "";
  }
}

/** A link to an address from data; null where it may not be followed. It opens beside the chat. */
export function link(address, site, attributes, ...children) {
  const href = safeAddress(address, site);
  return href === "" ? null : make("a", { href, target: "_blank", rel: "noopener noreferrer", ...attributes }, ...children);
}

/** A dialog over the chat. It is modal, Escape closes it, and the focus goes back to where it was. */
export function openDialog(labelled, className, content) {
  const before = document.activeElement;
  const dialog = make("dialog", { class: className, "aria-labelledby": labelled }, ...content);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    before?.focus?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
