// The frame of the page: routes, search, the light that says whether blocks arrive.

import { get, onBlock, watch } from "./api.js";
import { failure, h, say, waiting } from "./dom.js";
import { isDigest, isHeight, tick } from "./format.js";
import { block, blocks } from "./blocks.js";
import { models, parameters, slashes } from "./lists.js";
import { overview } from "./overview.js";
import { record, records } from "./records.js";
import { account, transaction, validators } from "./accounts.js";
import { trust } from "./trust.js";

const ROUTES = [
  [/^$/u, overview, "Overview"],
  [/^blocks$/u, blocks, "Blocks"],
  [/^blocks\/(\d{1,15})$/u, block, "Block"],
  [/^records$/u, records, "Records"],
  [/^records\/([0-9a-f]{64})$/u, record, "Record"],
  [/^transactions\/([0-9a-f]{64})$/u, transaction, "Transaction"],
  [/^accounts\/([0-9a-f]{64})$/u, account, "Account"],
  [/^validators$/u, validators, "Validators"],
  [/^models$/u, models, "Models"],
  [/^slashes$/u, slashes, "Slashes"],
  [/^parameters$/u, parameters, "Parameters"],
  [/^trust$/u, trust, "Trust"],
  [/^find\/(.{1,240})$/u, search, "Search"],
];

const main = document.getElementById("main");
let leaving = new AbortController();
let isFirst = true;

function where() {
  return location.hash.replace(/^#\/?/u, "").replace(/\/$/u, "");
}

async function show() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const path = where();
  const found = ROUTES.find(([pattern]) => pattern.test(path));
  mark(path);
  document.title = `${found?.[2] ?? "Not found"} · Zerotell explorer`;
  if (!found) return main.replaceChildren(failure({ status: 404, message: "There is no such page." }));
  main.replaceChildren(waiting(found[2].toLowerCase()));
  try {
    const page = await found[1]({ signal, words: found[0].exec(path).slice(1), again: show });
    if (signal.aborted) return undefined;
    main.replaceChildren(...[page].flat());
    // Who uses a keyboard or hears the page lands at the new title; the first page leaves them at its top.
    if (!isFirst) { main.querySelector("h1")?.focus({ preventScroll: true }); window.scrollTo(0, 0); }
    isFirst = false;
  } catch (error) {
    if (!signal.aborted) main.replaceChildren(failure(error, show));
  }
  return undefined;
}

function mark(path) {
  const section = path.split("/")[0].replace(/^(transactions|accounts)$/u, (word) => (word === "accounts" ? "validators" : "blocks"));
  for (const tab of document.querySelectorAll("#tabs a")) {
    const isHere = tab.getAttribute("href").replace(/^#\/?/u, "") === section;
    if (isHere) { tab.setAttribute("aria-current", "page"); tab.scrollIntoView?.({ block: "nearest", inline: "nearest" }); }
    else tab.removeAttribute("aria-current");
  }
}

// What a digest names, asked in the order in which people look for it.
async function find(text) {
  if (isHeight(text)) return `#/blocks/${Number(text)}`;
  if (!isDigest(text)) return null;
  const kinds = [["records", "statement"], ["transactions", "id"]];
  for (const [kind] of kinds) {
    try {
      await get(`${kind}/${text}`);
      return `#/${kind}/${text}`;
    } catch (error) {
      if (error.status !== 404 && error.status !== 400) throw error;
    }
  }
  const { validators: all } = await get("validators").catch(() => ({ validators: [] }));
  const known = Array.isArray(all) && all.some((one) => one?.account === text);
  const holder = known ? true : await get(`accounts/${text}`).then((one) => one?.nonce > 0 || (one?.balance ?? "0") !== "0", () => false);
  return holder ? `#/accounts/${text}` : null;
}

const form = document.getElementById("search");
const query = document.getElementById("query");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = query.value.trim().toLowerCase().replace(/^0x|^#/u, "");
  if (!text) return;
  query.value = "";
  query.blur();
  location.hash = `#/find/${encodeURIComponent(text)}`;
});

// A search is a page of its own until it knows where to go.
async function search({ signal, words: [coded] }) {
  let text = coded;
  try { text = decodeURIComponent(coded); } catch { /* then it is looked for as it stands */ }
  const place = await find(text);
  if (signal.aborted) return [];
  if (place) { location.replace(place); return waiting("what was found"); }
  const why = isDigest(text) ? "No record, transaction or account of this network has this digest." : "Enter a block's height, or the 64 hexadecimal digits of a statement, a transaction or an account.";
  say(why);
  return failure({ status: 404, message: why });
}

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !/^(INPUT|TEXTAREA|SELECT)$/u.test(document.activeElement?.tagName ?? "")) {
    event.preventDefault();
    query.focus();
  }
});

const light = document.getElementById("live");
const WORDS = { wait: "connecting", on: "live", off: "not connected" };
watch((state) => {
  light.dataset.state = state;
  document.getElementById("live-word").textContent = WORDS[state];
});
const page = new AbortController();
onBlock(() => { light.classList.remove("beat"); requestAnimationFrame(() => light.classList.add("beat")); }, page.signal);

setInterval(tick, 1000);
window.addEventListener("hashchange", show);
await show();

get("status").then((status) => {
  const version = typeof status?.version === "string" ? status.version : "";
  const foot = document.getElementById("foot");
  foot.after(h("p", { class: "soft" }, `Node version ${version || "unknown"}. Nothing on this page is loaded from anywhere but this node.`));
}, () => {});
