// Slashes, models, parameters.

import { get } from "./api.js";
import { growing } from "./blocks.js";
import { card, clean, digest, h, heading, table } from "./dom.js";
import { amount, count, items, money } from "./format.js";

const PAGE = 50;
const account = (value) => digest(value, { href: `#/accounts/${encodeURIComponent(clean(value, 80))}` });
const height = (value) => h("a", { href: `#/blocks/${encodeURIComponent(clean(value, 20))}` }, count(value));

// A list whose answers name what comes next.
function paged(path, key, signal, draw) {
  let next = null;
  const load = async () => {
    const answer = await get(`${path}?limit=${PAGE}${next === null ? "" : `&before=${encodeURIComponent(clean(next, 200))}`}`, signal);
    next = answer?.next ?? null;
    return { found: items(answer?.[key]), isLast: next === null };
  };
  return growing(load, draw);
}

export async function slashes({ signal }) {
  const columns = [{ name: "Block" }, { name: "Validator" }, { name: "Lost", number: true }, { name: "Offences so far", number: true }];
  const list = paged("slashes", "slashes", signal, (all) => table("Punishments, newest first", columns,
    all.map((one) => [height(one.height), account(one.account), amount(one.lost), count(one.offences)]), "Nobody was ever punished."));
  await list.step();
  return [heading("Slashes", "Stake that was taken because a signature proved the offence: nobody decides it, anyone can check it."), card(null, list.node)];
}

export async function models({ signal }) {
  const columns = [{ name: "Model" }, { name: "Owner" }, { name: "Program" }, { name: "Weights" }, { name: "Links", number: true }, { name: "Changed in" }];
  const list = paged("models", "models", signal, (all) => table("Registered models, newest first", columns,
    all.map((one) => [digest(one.model), account(one.owner), digest(one.program), digest(one.weights), count(one.links), height(one.height)]), "No model is registered."));
  await list.step();
  return [heading("Models", "Who registered a name holds it. The weights are commitments; nothing here shows them."), card(null, list.node)];
}

export async function parameters({ signal }) {
  const all = await get("parameters", signal);
  const rows = Object.entries(all && typeof all === "object" ? all : {}).slice(0, 200).map(([name, value]) => [h("code", {}, clean(name, 60)), money(value)]);
  return [
    heading("Parameters", "The rules' numbers, as they are now. Seats with two thirds of the stake can change them, after a delay."),
    card(null, table("Parameters of the ledger", [{ name: "Parameter" }, { name: "Value", number: true }], rows, "The node names none.")),
  ];
}
