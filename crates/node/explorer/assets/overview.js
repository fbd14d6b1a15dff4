// The first page: where the network stands, and what happens now.

import { get, onBlock } from "./api.js";
import { badge, card, clean, digest, h, heading, svg } from "./dom.js";
import { amount, bytes, count, items, moment, money, status } from "./format.js";

const SHOWN = 8;
const BARS = 60;

export async function overview({ signal }) {
  const [now, chain, latest] = await Promise.all([get("status", signal), get(`blocks?limit=${BARS}`, signal), get(`records?limit=${SHOWN}`, signal)]);
  const state = { now, blocks: items(chain?.blocks), records: items(latest?.records) };
  const place = { tiles: h("div", { class: "tiles" }), chart: h("div", {}), blocks: h("div", {}), records: h("div", {}) };
  const draw = () => {
    const parts = [[place.tiles, tiles(state)], [place.chart, [chart(state.blocks)]], [place.blocks, [blockList(state.blocks.slice(0, SHOWN))]], [place.records, [recordList(state.records)]]];
    // What somebody has the keyboard on stays as it is until they leave it.
    for (const [node, now] of parts) if (!node.contains(document.activeElement)) node.replaceChildren(...now);
  };
  draw();
  let isBusy = false;
  onBlock(async (block) => {
    if (isBusy || signal.aborted) return;
    isBusy = true;
    try {
      const last = state.blocks[0]?.height ?? -1;
      const missed = Math.min(BARS, Math.max(1, block.height - last));
      const [fresh, status_, newest] = await Promise.all([get(`blocks?limit=${missed}`, signal), get("status", signal), get(`records?limit=${SHOWN}`, signal)]);
      const seen = new Set(state.blocks.map((one) => one.height));
      const added = items(fresh?.blocks).filter((one) => !seen.has(one.height));
      state.blocks = [...added, ...state.blocks].slice(0, BARS);
      Object.assign(state, { now: status_, records: items(newest?.records) });
      draw();
    } catch { /* the light in the corner says it; the next block tries again */ }
    isBusy = false;
  }, signal);
  return [
    heading("Overview", ["Network ", digest(now?.network)], now?.syncing === true ? badge("catching up", "open") : null),
    place.tiles,
    card("Transactions per block", place.chart),
    h("div", { class: "two" }, card(title("Latest blocks", "#/blocks"), place.blocks), card(title("Latest records", "#/records"), place.records)),
  ];
}

function title(words, href) {
  return h("span", { class: "more" }, words, h("a", { href, "aria-label": `All: ${words}` }, "all"));
}

// Per second, over the blocks that are known; a span without time says nothing.
function rate(blocks, key) {
  const times = blocks.map((block) => block.time).filter(Number.isFinite);
  if (times.length < 2) return null;
  const seconds = (Math.max(...times) - Math.min(...times)) / 1000;
  const all = blocks.slice(0, -1).reduce((sum, block) => sum + (Number.isFinite(block[key]) ? block[key] : 0), 0);
  return seconds > 0 ? all / seconds : null;
}

function pace(value) {
  return value === null ? "–" : value < 10 ? value.toFixed(2) : count(Math.round(value));
}

function tiles({ now, blocks }) {
  const gap = blocks.length > 1 ? (blocks[0].time - blocks[blocks.length - 1].time) / (blocks.length - 1) / 1000 : null;
  const tile = (name, value, note) => h("div", { class: "tile" }, h("span", { class: "name" }, name), h("span", { class: "value" }, value), h("span", { class: "note" }, note ?? ""));
  return [
    tile("Height", h("a", { href: `#/blocks/${encodeURIComponent(clean(now?.height, 20))}` }, count(now?.height)), ["block ", moment(now?.time, { relative: true })]),
    tile("Epoch", count(now?.epoch), ["committee ", digest(now?.committee)]),
    tile("Records", count(now?.records), `${pace(rate(blocks, "records"))} a second`),
    tile("Transactions", `${pace(rate(blocks, "transactions"))}/s`, Number.isFinite(gap) ? `a block every ${gap.toFixed(2)}\u00a0s` : ""),
    tile("Waiting", count(now?.pool?.transactions), bytes(now?.pool?.bytes)),
    tile("Peers", `${count(now?.peers)} of ${count(now?.peersConfigured)}`, typeof now?.seat === "number" ? `this node has seat\u00a0${now.seat}` : "this node has no seat"),
    tile("Work price", money(now?.workPrice), `byte price ${money(now?.bytePrice)}`),
    tile("Supply", amount(now?.supply), ["burned ", amount(now?.burned)]),
  ];
}

// One bar per block, the newest on the right.
function chart(blocks) {
  const [width, height] = [600, 72];
  const list = blocks.slice(0, BARS).reverse();
  const amounts = list.map((block) => (Number.isFinite(block.transactions) ? Math.max(0, block.transactions) : 0));
  const most = Math.max(1, ...amounts);
  const step = width / BARS;
  const offset = BARS - list.length;
  const bars = list.map((block, at) => {
    const tall = Math.max(1.5, (amounts[at] / most) * (height - 4));
    const part = Number.isFinite(block.records) && amounts[at] > 0 ? Math.min(1, block.records / amounts[at]) : 0;
    const x = (offset + at) * step + 1;
    return svg("g", {}, svg("title", {}, `block ${clean(block.height, 20)}: ${count(block.transactions)} transactions, ${count(block.records)} records`),
      svg("rect", { x, y: height - tall, width: step - 2, height: tall, rx: 1.5, class: "bar" }),
      part > 0 ? svg("rect", { x, y: height - tall * part, width: step - 2, height: tall * part, rx: 1.5, class: "bar part" }) : null);
  });
  const total = amounts.reduce((sum, one) => sum + one, 0);
  return h("figure", {},
    svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", preserveAspectRatio: "none", role: "img", "aria-label": `${total} transactions in the last ${list.length} blocks, at most ${most} in one` }, bars),
    h("figcaption", {}, h("span", { class: "swatch part" }), " records ", h("span", { class: "swatch" }), ` others · at most ${count(most)} in one of the last ${count(list.length)} blocks`));
}

function blockList(blocks) {
  if (blocks.length === 0) return h("p", { class: "empty" }, "No block yet.");
  return h("ul", { class: "lines" }, blocks.map((block) => h("li", {},
    h("a", { href: `#/blocks/${encodeURIComponent(clean(block.height, 20))}`, class: "strong" }, count(block.height)),
    h("span", { class: "soft" }, `${count(block.transactions)} transactions`),
    moment(block.time, { relative: true }))));
}

function recordList(records) {
  if (records.length === 0) return h("p", { class: "empty" }, "Nobody has submitted a record yet.");
  return h("ul", { class: "lines" }, records.map((record) => {
    const { word, kind } = status(record);
    return h("li", {}, digest(record.statement, { href: `#/records/${encodeURIComponent(clean(record.statement, 80))}` }), h("span", { class: "soft" }, `block ${count(record.ordered)}`), badge(word, kind));
  }));
}
