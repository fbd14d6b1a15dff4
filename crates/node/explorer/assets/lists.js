// Slashes, models, parameters.

import { get } from "./api.js";
import { growing } from "./blocks.js";
import { card, clean, digest, h, heading, table } from "./dom.js";
import { amount, count, items, money } from "./format.js";

const PAGE = 50;
const account = (value) => digest(value, { href: `#/accounts/${encodeURIComponent(clean(value, 80))}` });
const height = (value) => h("a", { href: `#/blocks/${encodeURIComponent(clean(value, 20))}` }, count(value));

// What a punishment was for, and what showed it.
const CAUSES = new Map([
  ["equivocation", ["two messages on one round", "signed by it"]],
  ["early-reveal", ["verdicts shown too early", "signed by it"]],
  ["engine", ["an offence against consensus", "signed by it"]],
  ["wrong-execution", ["a digest of no run", "signed by it; two thirds of the stake have another"]],
  ["wrong-verdict", ["a wrong verdict", "decided in a case by two thirds of the stake"]],
  ["error", ["wrong in a case, too", "decided in a case by two thirds of the stake"]],
  ["wrong-custody", ["a digest of other bytes than the proof's", "signed by it; two thirds of the stake have another"]],
  ["withheld", ["verdicts never shown", "it committed to them and stayed silent"]],
]);

function cause(value) {
  const [what, how] = CAUSES.get(value) ?? [clean(value, 40) || "not noted by this node", ""];
  return h("span", {}, what, how ? h("span", { class: "soft" }, `, ${how}`) : null);
}

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
  const columns = [{ name: "Block" }, { name: "Validator" }, { name: "For" }, { name: "Lost", number: true }, { name: "Offences so far", number: true }];
  const list = paged("slashes", "slashes", signal, (all) => table("Punishments, newest first", columns,
    all.map((one) => [height(one.height), account(one.account), cause(one.cause), amount(one.lost), count(one.offences)]), "Nobody was ever punished."));
  await list.step();
  return [heading("Slashes", "Stake that was taken. What a validator signed shows most offences by itself. Whether a verdict was wrong is decided in a case: everyone looks again, and two thirds of the stake must agree. Silence shows what was withheld."), card(null, list.node)];
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
