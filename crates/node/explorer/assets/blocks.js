// Blocks, and one block.

import { get, onBlock } from "./api.js";
import { badge, card, clean, digest, h, heading, pairs, table } from "./dom.js";
import { bytes, count, items, moment, money } from "./format.js";

const PAGE = 25;
const COLUMNS = [{ name: "Height" }, { name: "Digest" }, { name: "Time" }, { name: "Epoch", number: true }, { name: "Transactions", number: true }, { name: "Records", number: true }, { name: "Proposer" }];

const place = (height) => `#/blocks/${encodeURIComponent(clean(height, 20))}`;
const row = (block) => [
  h("a", { href: place(block.height), class: "strong" }, count(block.height)), digest(block.digest), moment(block.time, { relative: true }), count(block.epoch),
  count(block.transactions), count(block.records), digest(block.proposer, { href: `#/accounts/${encodeURIComponent(clean(block.proposer, 80))}` }),
];

// A list that grows downwards by a button. `load(last)` gives the next items after the last one.
export function growing(load, draw) {
  const list = h("div", {});
  const more = h("button", { type: "button", class: "button quiet" }, "Show more");
  const trouble = h("p", { class: "soft", role: "status" });
  let all = [];
  const step = async () => {
    more.disabled = true;
    try {
      const { found, isLast } = await load(all.at(-1));
      all = [...all, ...found];
      list.replaceChildren(draw(all));
      more.hidden = isLast || found.length === 0;
      trouble.textContent = "";
    } catch (error) {
      if (all.length === 0) throw error;
      trouble.textContent = clean(error.message);
    }
    more.disabled = false;
  };
  more.addEventListener("click", step);
  return { step, node: h("div", {}, list, h("p", { class: "grow" }, more, trouble)) };
}

export async function blocks({ signal }) {
  const load = async (last) => {
    const answer = await get(`blocks?limit=${PAGE}${last ? `&before=${encodeURIComponent(clean(last.height, 20))}` : ""}`, signal);
    const found = items(answer?.blocks);
    return { found, isLast: found.length < PAGE || found.at(-1)?.height === 0 };
  };
  const list = growing(load, (all) => table("Blocks, newest first", COLUMNS, all.map(row), "No block yet."));
  await list.step();
  const fresh = h("p", { class: "fresh", hidden: true });
  let newer = 0;
  onBlock(() => {
    newer += 1;
    fresh.hidden = false;
    fresh.replaceChildren(h("button", { type: "button", class: "button quiet", onclick: () => window.dispatchEvent(new HashChangeEvent("hashchange")) }, `${count(newer)} new: show`));
  }, signal);
  return [heading("Blocks", "Each is final when two thirds of the seats have signed it.", fresh), card(null, list.node)];
}

export async function block({ signal, words: [height] }) {
  const one = await get(`blocks/${height}`, signal);
  const list = items(one?.list, 5000);
  const columns = [{ name: "Transaction" }, { name: "Kind" }, { name: "Sender" }, { name: "Nonce", number: true }, { name: "Fee", number: true }, { name: "Outcome" }];
  const rows = list.map((item) => [
    digest(item.id, { href: `#/transactions/${encodeURIComponent(clean(item.id, 80))}` }), clean(item.kind, 40),
    digest(item.sender, { href: `#/accounts/${encodeURIComponent(clean(item.sender, 80))}` }), count(item.nonce), item.lane === "seat" ? h("span", { class: "soft" }, "seat") : money(item.fee), outcome(item),
  ]);
  const number = Number(height);
  const finality = typeof one.finality === "string" ? `${count(one.signers)} of ${count(one.seats)} seats, ${bytes(one.finality.length / 2)}` : "this node has no certificate of it";
  return [
    heading(`Block ${count(number)}`, [moment(one.time)], h("span", { class: "steps" },
      number > 0 ? h("a", { class: "button quiet", href: place(number - 1) }, "← Earlier") : null, h("a", { class: "button quiet", href: place(number + 1) }, "Later →"))),
    card("Header", pairs([
      ["Digest", digest(one.digest)], ["Parent", number > 0 ? digest(one.parent, { href: place(number - 1) }) : digest(one.parent)], ["Epoch", count(one.epoch)],
      ["Proposer", digest(one.proposer, { href: `#/accounts/${encodeURIComponent(clean(one.proposer, 80))}` })], ["State after it", digest(one.state)], ["Outcomes", digest(one.outcomes)],
      ["Committee", digest(one.committee)], ["Signed by", finality],
    ])),
    card(`Transactions (${count(list.length)})`, table("Transactions of the block, in order", columns, rows, "The block holds no transaction.")),
  ];
}

// What became of a transaction.
export function outcome(item) {
  const what = clean(item.what, 200);
  if (item.code === 0) return badge("done", "good");
  return h("span", {}, badge(`failed ${count(item.code)}`, "bad"), what ? h("span", { class: "soft" }, ` ${what}`) : null);
}
