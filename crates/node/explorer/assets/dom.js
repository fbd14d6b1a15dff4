// Nodes of the page. Everything a node of the network says becomes text here: no function of this folder makes markup of a string.

const MISLEADING = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu;

// Text from a stranger: without letters that control or reorder others, and of bearable length.
export function clean(value, most = 400) {
  const text = typeof value === "string" ? value : value === undefined || value === null ? "" : String(value);
  const shown = text.length > most ? `${text.slice(0, most)}…` : text;
  return shown.replace(MISLEADING, "\ufffd");
}

// An element with its attributes and children. Children are nodes, or values that are shown as text.
export function h(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

// The same in SVG.
export function svg(name, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "href" && !String(value).startsWith("#") && !String(value).startsWith("v1/")) throw new Error("links stay inside");
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((child) => child !== undefined && child !== null && child !== false)
    .map((child) => (child instanceof Node ? child : clean(child))));
  return element;
}

// Says something to those who listen to the page.
export function say(text) {
  document.getElementById("said").textContent = clean(text);
}

const SHAPES = {
  passed: "M5 10.5l3.2 3.2L15 7",
  failed: "M6 6l8 8M14 6l-8 8",
  open: "M10 5.5v5M10 14v.2",
  wait: "M10 5.5V10l3 2",
  copy: "M7 7V4.5h8.5V13H13M4.5 7H13v8.5H4.5z",
};

export function icon(name, label) {
  const about = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return svg("svg", { viewBox: "0 0 20 20", class: "icon", ...about }, svg("path", { d: SHAPES[name] }));
}

// A digest: shortened in the middle, whole in the title, with a button that copies it.
export function digest(value, { href, whole = false } = {}) {
  const text = clean(value, 200);
  if (!text) return h("span", { class: "none" }, "none");
  const short = whole || text.length <= 18 ? text : `${text.slice(0, 8)}…${text.slice(-6)}`;
  const shown = h("span", { class: whole ? "digest whole" : "digest", title: whole ? undefined : text }, short);
  const button = h("button", { type: "button", class: "copy", "aria-label": `Copy ${short}`, title: "Copy", onclick: () => copy(text, button) }, icon("copy"));
  return h("span", { class: "hash" }, href ? h("a", { href }, shown) : shown, button);
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.classList.add("done");
    button.replaceChildren(icon("passed"));
    say("Copied");
    setTimeout(() => { button.classList.remove("done"); button.replaceChildren(icon("copy")); }, 1200);
  } catch {
    say("The browser does not allow copying here");
  }
}

export function badge(word, kind) {
  return h("span", { class: `badge ${kind}` }, word);
}

// A heading with a line below, and what stands beside it.
export function heading(title, lead, ...beside) {
  return h("div", { class: "heading" }, h("div", {}, h("h1", { tabindex: "-1" }, title), lead ? h("p", { class: "lead" }, lead) : null), beside.length ? h("div", { class: "beside" }, ...beside) : null);
}

export function card(title, ...children) {
  return h("section", { class: "card" }, title ? h("h2", {}, title) : null, ...children);
}

// A table that becomes a list of small cards where the page is narrow.
export function table(caption, columns, rows, empty) {
  if (rows.length === 0) return h("p", { class: "empty" }, empty);
  return h("div", { class: "scroll" }, h("table", {},
    h("caption", { class: "away" }, caption),
    h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.number ? "number" : undefined }, column.name)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((column, at) => h("td", { "data-name": column.name, class: column.number ? "number" : undefined }, row[at] ?? "–")))))));
}

// Names and values.
export function pairs(rows) {
  return h("dl", {}, rows.filter(Boolean).map(([name, ...value]) => [h("dt", {}, name), h("dd", {}, ...value)]));
}

export function waiting(what) {
  return h("div", { class: "waiting", role: "status" }, h("span", { class: "away" }, `Loading ${what}`), h("div", { class: "bone wide" }), h("div", { class: "bone" }), h("div", { class: "bone" }));
}

export function failure(error, again) {
  const missing = error?.status === 404;
  return h("section", { class: "card trouble", role: "alert" },
    h("h2", {}, missing ? "Not found" : "That did not work"),
    h("p", {}, error?.message || "Something went wrong."),
    error?.fix ? h("p", { class: "soft" }, error.fix) : null,
    error?.code ? h("p", { class: "soft" }, "Code ", h("code", {}, error.code)) : null,
    again ? h("p", {}, h("button", { type: "button", class: "button", onclick: again }, "Try again")) : null);
}
