// Validators, accounts, transactions.

import { get } from "./api.js";
import { badge, card, clean, digest, h, heading, pairs, svg, table } from "./dom.js";
import { amount, big, count, items, money, percent, share } from "./format.js";
import { outcome } from "./blocks.js";

const account_ = (value) => digest(value, { href: `#/accounts/${encodeURIComponent(clean(value, 80))}` });

export async function validators({ signal }) {
  const answer = await get("validators", signal);
  const all = items(answer?.validators).sort((a, b) => (a.seat ?? 1e9) - (b.seat ?? 1e9));
  const total = all.reduce((sum, one) => sum + (big(one.stake) ?? 0n), 0n).toString();
  const columns = [{ name: "Validator" }, { name: "Seat", number: true }, { name: "Stake", number: true }, { name: "Share" }, { name: "Bond", number: true }, { name: "Earned", number: true }, { name: "In this epoch", number: true }, { name: "Balance", number: true }, { name: "Missed", number: true }, { name: "Owed", number: true }, { name: "Slashed", number: true }, { name: "Offences" }];
  const rows = all.map((one) => [
    account_(one.account), typeof one.seat === "number" ? count(one.seat) : h("span", { class: "soft" }, "none"), one.stake === null || one.stake === undefined ? "–" : amount(one.stake),
    meter(share(one.stake, total)), amount(one.bond), amount(one.earned?.total), amount(one.earned?.epoch), amount(one.balance), count(one.missed), count(one.owed), amount(one.earned?.slashed), one.offences > 0 ? badge(count(one.offences), "bad") : badge("none", "good"),
  ]);
  const seated = all.filter((one) => typeof one.seat === "number").length;
  return [
    heading("Validators", [`${count(seated)} have a seat in epoch ${count(answer?.epoch)}, with `, amount(total), " at stake. Seats are equal for order; stake weighs verdicts. Amounts are in units; what was earned and slashed counts ", from(answer?.since), "."]),
    card(null, table("Validators, those with a seat first", columns, rows, "The node names no validator.")),
  ];
}

// Since when a node counts what accounts earn and lose.
function from(since) {
  return since === 0 ? "since the network began" : `since block ${count(since)}, with which this node began`;
}

// A share of the stake: the number, and a bar for the eye.
function meter(value) {
  if (value === null) return "–";
  return h("span", { class: "meter" }, svg("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { x: 0, y: 0, width: 100, height: 6, rx: 3, class: "track" }), svg("rect", { x: 0, y: 0, width: Math.max(1, value), height: 6, rx: 3, class: "fill" })), percent(value));
}

export async function account({ signal, words: [key] }) {
  const [one, answer] = await Promise.all([get(`accounts/${key}`, signal), get("validators", signal).catch(() => null)]);
  const listed = items(answer?.validators).find((validator) => validator.account === key);
  // Also a bond that is too small for a seat, or on its way out.
  const seat = listed ?? (one.validator ? { ...one.validator, seat: null, stake: null } : null);
  const leaving = items(seat?.unbonding);
  return [
    heading("Account", [digest(key, { whole: true })], listed ? badge(typeof seat.seat === "number" ? `validator, seat ${seat.seat}` : "validator", "good") : null),
    card("Balance", pairs([["May be spent", `${money(one.balance)} units`], ["Transactions paid", count(one.nonce)], ["Records waiting", count(one.inFlight)]])),
    card("Earned", pairs([["In all", `${money(one.earned?.total)} units`], ["In this epoch", `${money(one.earned?.epoch)} units`], ["Slashed", `${money(one.earned?.slashed)} units`], ["Counted", from(one.since)]])),
    seat ? card("As a validator", pairs([
      ["Bond", amount(seat.bond)], ["Can be slashed", amount(seat.slashable)], ["Stake in this epoch", seat.stake === null ? "none" : amount(seat.stake)],
      ["Offences", count(seat.offences)], ["Rounds missed in this epoch", count(seat.missed)], ["Canaries owed", count(seat.owed)], ["Consensus key", digest(seat.consensus)],
      ["Reached at", seat.address ? clean(seat.address, 128) : "it does not say"],
    ]), leaving.length ? table("Withdrawals that wait", [{ name: "Amount", number: true }, { name: "Free from block", number: true }], leaving.map((part) => [amount(part.amount), count(part.height)]), "") : null) : null,
  ].filter(Boolean);
}

export async function transaction({ signal, words: [id] }) {
  const one = await get(`transactions/${id}`, signal);
  const isFinal = one.state === "final";
  return [
    heading("Transaction", [digest(id, { whole: true })], isFinal ? badge("final", "good") : badge("waiting", "wait")),
    card("Outcome", pairs([
      isFinal ? ["Block", h("a", { href: `#/blocks/${encodeURIComponent(clean(one.height, 20))}` }, count(one.height)), ` at place ${count(one.index)}`] : ["Block", "it waits to be ordered"],
      isFinal ? ["Outcome", outcome(one)] : null, ["Fee", `${money(one.fee)} units`],
    ])),
  ];
}
