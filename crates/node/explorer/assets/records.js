// Records, and one record: what the node says of it beside what this browser finds.

import { get, getBytes, onBlock } from "./api.js";
import { growing } from "./blocks.js";
import { checkCertificate, checkProof } from "./check.js";
import { badge, card, clean, digest, h, heading, icon, pairs, say, table } from "./dom.js";
import { amount, bytes, count, isDigest, items, moment, money, percent, share, status } from "./format.js";
import { advance, pinnedOrFirst } from "./pin.js";

const PAGE = 25;
const CERTIFICATE_MOST = 1 << 22;
const PROOF_MOST = 1 << 26;

const place = (statement) => `#/records/${encodeURIComponent(clean(statement, 80))}`;
const height = (value) => h("a", { href: `#/blocks/${encodeURIComponent(clean(value, 20))}` }, count(value));

export async function records({ signal }) {
  let next = null;
  const load = async () => {
    const answer = await get(`records?limit=${PAGE}${next === null ? "" : `&before=${encodeURIComponent(clean(next, 20))}`}`, signal);
    next = answer?.next ?? null;
    return { found: items(answer?.records), isLast: next === null };
  };
  const columns = [{ name: "Number" }, { name: "Statement" }, { name: "Status" }, { name: "Ordered in" }, { name: "Program" }, { name: "Proof", number: true }, { name: "Fee", number: true }];
  const row = (record) => {
    const { word, kind } = status(record);
    return [count(record.sequence), digest(record.statement, { href: place(record.statement) }), h("span", {}, badge(word, kind), record.recalled === true ? badge("recalled", "open") : null),
      height(record.ordered), digest(record.program), bytes(record.proofBytes), money(record.fee)];
  };
  const list = growing(load, (all) => table("Records, newest first", columns, all.map(row), "Nobody has submitted a record yet."));
  await list.step();
  return [heading("Records", "Every record is one proof that validators have checked, good or bad. Open one to check it in this browser."), card(null, list.node)];
}

export async function record({ signal, words: [statement] }) {
  const told = await get(`records/${statement}`, signal);
  const { word, kind } = status(told);
  const found = { certificate: null, proof: null, pin: null };
  const parts = { verdict: h("section", { class: "card verdict", id: "verdict" }), said: h("div", {}), details: h("div", {}) };
  const draw = () => {
    parts.verdict.replaceChildren(...verdict(found, told));
    parts.verdict.dataset.state = conclusion(found, told).state;
    parts.said.replaceChildren(...said(found));
    parts.details.replaceChildren(details(told, found, statement));
  };
  draw();
  examine(statement, found, signal, draw).then(() => { if (!signal.aborted) say(conclusion(found, told).title); });
  let isAsking = false;
  if (told.status === "pending") {
    onBlock(async () => {
      if (isAsking) return;
      isAsking = true;
      await refresh(statement, told, signal, draw);
      isAsking = false;
    }, signal);
  }
  return [
    heading("Record", [digest(statement, { whole: true })], h("span", { class: "said-by" }, "the node says "), badge(word, kind), told.recalled === true ? badge("recalled", "open") : null),
    parts.verdict, parts.said, parts.details,
  ];
}

// A record that waits is asked about again with every block; a verdict draws the page anew.
async function refresh(statement, told, signal, draw) {
  const now = await get(`records/${statement}`, signal).catch(() => null);
  if (signal.aborted || !now) return;
  if (now.status !== told.status) window.dispatchEvent(new HashChangeEvent("hashchange"));
  else { Object.assign(told, now); draw(); }
}

// ---- checking ----

async function examine(statement, found, signal, draw) {
  await step(found, "certificate", "certificate", draw, async () => {
    const { pin, isNew } = await pinnedOrFirst(signal);
    Object.assign(found, { pin, isNew });
    found.file = await getBytes(`records/${statement}/certificate?from=${pin.epoch}`, CERTIFICATE_MOST, signal);
    const answer = await checkCertificate(found.file, pin, Date.now());
    const shown = answer.certificate;
    if (shown && shown.record?.statement !== statement) {
      answer.checks.push({ name: "statement", state: "failed", detail: "the certificate is about another entry than this record" });
      Object.assign(answer, { accepted: false, certificate: null });
    }
    if (answer.certificate) advance(answer.certificate.reached);
    return answer;
  });
  await step(found, "proof", "proof", draw, async () => {
    const dossier = await getBytes(`records/${statement}/proof`, PROOF_MOST, signal, (have) => {
      found.have = have;
      const word = document.getElementById("have");
      if (word) word.textContent = bytes(have);
    });
    // Only a certificate that was good says which proof it must be.
    return checkProof(dossier, found.certificate?.accepted ? found.file : new Uint8Array());
  });
}

async function step(found, key, what, draw, work) {
  found[key] = { running: true, checks: [] };
  draw();
  try {
    found[key] = await work();
  } catch (error) {
    // What is not there is not refused: a record may wait, and not every node keeps every proof.
    found[key] = { missing: error?.status === 404, accepted: false, trouble: clean(error?.message), checks: [], what };
  }
  draw();
}

// ---- what came of it ----

function conclusion({ certificate, proof }, told) {
  if (!certificate || !proof || certificate.running || proof.running) return { state: "wait", title: "Checking in this browser…" };
  const refused = [certificate, proof].find((one) => !one.accepted && !one.missing && one.checks.some((check) => check.state === "failed"));
  if (refused === certificate && certificate.checks.some((check) => check.state === "failed" && check.name === "age")) {
    return { state: "open", title: "The pinned checkpoint is too old, or this clock is wrong", words: "Nothing was decided about the record. Under Trust a newer checkpoint can be pinned." };
  }
  if (refused === proof && certificate.certificate?.record?.status === "rejected") return { state: "failed", title: "Rejected by the network, and by this browser too" };
  if (refused) return { state: "failed", title: refused === certificate ? "The certificate is refused" : "The proof is refused" };
  if (conflicts(told, certificate).length > 0) return { state: "failed", title: "The node contradicts the certificate" };
  if (denials(told, proof).length > 0) return { state: "failed", title: "The node contradicts the proof" };
  const record = certificate.certificate?.record;
  if (certificate.accepted && proof.accepted) {
    if (record?.status === "accepted" && !record.recalled) return { state: "passed", title: "Checked here: certificate and proof hold" };
    return { state: "open", title: "Both hold, but the network's verdict is not an acceptance" };
  }
  if (certificate.accepted) return { state: "open", title: record?.status === "rejected" ? "The network refused this record" : "The certificate holds; the proof was not checked" };
  if (proof.accepted) return { state: "open", title: "The proof holds; the network has not certified it" };
  return { state: "open", title: "Nothing could be checked yet" };
}

function verdict(found, told) {
  const { state, title, words = WORDS[state] } = conclusion(found, told);
  return [
    h("div", { class: "sum" }, icon(state === "wait" ? "wait" : state), h("div", {}, h("h2", {}, title), h("p", {}, words))),
    h("div", { class: "two" }, checklist("Certificate", found.certificate, "the record has no verdict yet, or this node does not have the certificate"), checklist("Proof", found.proof, "this node does not have the proof", found.have)),
    found.pin ? rests(found) : null,
  ].filter(Boolean);
}

const WORDS = {
  wait: "Certificate and proof are fetched from the node and checked on this machine.",
  passed: "Your browser verified both by itself. The node could not have made this up, as long as the checkpoint and this page are the right ones.",
  failed: "Do not rely on this record. Below is the check that failed; nothing that the refused file says is shown.",
  open: "What was checked holds. Below is what is missing, and why.",
};

function checklist(name, answer, absent, have) {
  const head = (...beside) => h("h3", {}, name, ...beside);
  if (!answer) return h("div", { class: "checks" }, head(), h("p", { class: "soft" }, "Waiting."));
  if (answer.running) return h("div", { class: "checks" }, head(), h("p", { class: "soft" }, "Fetching and checking ", h("span", { id: name === "Proof" ? "have" : undefined }, have ? bytes(have) : ""), "…"));
  if (answer.trouble) return h("div", { class: "checks" }, head(), h("p", { class: "line open" }, icon("open", "not checked"), h("span", {}, answer.missing ? `Not checked: ${absent}.` : `Not checked: ${answer.trouble}`)));
  const time = typeof answer.milliseconds === "number" ? h("span", { class: "took" }, `${answer.milliseconds < 10 ? answer.milliseconds.toFixed(1) : Math.round(answer.milliseconds)} ms`) : null;
  const labels = { passed: "holds", failed: "fails", open: "open" };
  return h("div", { class: "checks" }, head(time), h("ul", {}, items(answer.checks).map((check) => h("li", { class: `line ${labels[check.state] ? check.state : "open"}` },
    icon(labels[check.state] ? check.state : "open", labels[check.state]), h("span", {}, h("b", {}, check.name), " ", h("span", { class: "soft" }, check.detail))))));
}

function rests({ pin, isNew }) {
  const own = pin.from !== "first use";
  return h("p", { class: own ? "rests" : "rests first" }, icon(own ? "passed" : "open"), h("span", {},
    own ? "Rests on the checkpoint that you pinned, " : isNew ? "First visit: this browser took the node's word for the checkpoint. Compare its digest with somebody you trust: " : "Rests on a checkpoint taken on first use. Compare its digest with somebody you trust: ",
    digest(pin.digest), ` (epoch ${count(pin.epoch)}). `, h("a", { href: "#/trust" }, own ? "About trust" : "Pin your own")));
}

// What the checked proof says, and what it does not.
function said({ proof }) {
  const shown = proof?.accepted ? proof.proof : null;
  if (!shown) return [];
  return [
    h("div", { class: "two" },
      card("What the proof shows", revealed(shown), pairs([
        ["Model", digest(shown.model)], ["Weights", shown.weights === "hidden" ? "hidden; committed to in the model's identity" : "public, part of the program"], ["Program", digest(shown.program)],
        ["Inputs", items_(shown.inputs).join(", ") || "none"], ["Inferences", count(shown.inferences)], ["Zero knowledge", shown.zeroKnowledge ? "yes: nothing else is shown" : "no: the proof hides nothing"],
        ["Strength", `${count(shown.provenBits)} proven bits, weakest term: ${clean(shown.weakest, 80)}`], ["Meaning", MEANINGS[shown.semantics] ?? clean(shown.semantics, 40)],
        ["Context", shown.context ? h("code", {}, clean(shown.context, 200)) : "none: bound to no occasion"], ["Signed by", shown.signer ? digest(shown.signer) : "nobody"],
      ])),
      h("section", { class: "card not" }, h("h2", {}, "What is not claimed"), h("ul", { class: "plain" }, items(shown.notClaimed).map((one) => h("li", {}, upper(clean(one.text, 600)), "."))))),
  ];
}

const MEANINGS = {
  exact: "exact: the integers of the quantised model that was given",
  bounded: "bounded: near a float model, as its accuracy report measured",
  "served-int": "served-int: the integers are the answer itself",
};

const items_ = (value) => (Array.isArray(value) ? value.map((one) => clean(one, 40)) : []);
const upper = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function revealed(shown) {
  const list = items(shown.revealed);
  if (list.length === 0) return h("p", { class: "soft" }, "Nothing is revealed but that such an inference was made.");
  return h("ul", { class: "shown" }, list.map((one) => h("li", {}, sentence(one))));
}

function sentence(one) {
  const values = Array.isArray(one.values) ? one.values.slice(0, 64).map((value) => clean(value, 24)).join(", ") : "";
  const name = `output ${count(one.output)}`;
  if (one.kind === "label") return `label of ${name} = ${values}`;
  if (one.kind === "threshold") return `${name}[${count(one.index)}] ${one.atLeast ? "≥" : "≤"} ${clean(one.bound, 24)}`;
  return `${name} = ${values}`;
}

// ---- the node's word, row by row ----

// What a certificate that was good says of the same fields.
function sure({ certificate }) {
  const record = certificate?.accepted ? certificate.certificate?.record : null;
  return record ?? null;
}

const FIELDS = ["statement", "program", "proof", "submitter", "verifier", "ordered", "fee"];

function conflicts(told, certificate) {
  const record = sure({ certificate });
  if (!record) return [];
  const wrong = FIELDS.filter((field) => told[field] !== record[field]);
  // The node may know more than a certificate of a record that waits, never something else.
  if (record.status !== "pending") wrong.push(...["status", "finalHeight"].filter((field) => told[field] !== record[field]));
  return wrong;
}

const SHOWN = ["roots", "revealed", "context", "nullifier"];

// What the checked proof says of the submission's digests.
const named = ({ proof }, field) => (proof?.accepted ? proof.proof.names[field] : undefined);

function denials(told, proof) {
  const said = told.submission ?? null;
  return said && proof?.accepted ? SHOWN.filter((field) => said[field] !== named({ proof }, field)) : [];
}

function details(told, found, statement) {
  const record = sure(found);
  const wrong = [...conflicts(told, found.certificate), ...denials(told, found.proof)];
  const mark = (field) => {
    if (wrong.includes(field)) return h("span", { class: "word bad" }, icon("failed"), "contradicted");
    if (SHOWN.includes(field) && named(found, field) !== undefined) return h("span", { class: "word good" }, icon("passed"), "in the proof");
    const isThere = record && record[field] !== undefined && [...FIELDS, "status", "finalHeight"].includes(field) && !(record.status === "pending" && told.status !== "pending" && field === "status");
    return isThere ? h("span", { class: "word good" }, icon("passed"), "in the certificate") : h("span", { class: "word" }, icon("open"), "node's word");
  };
  const stake = told.stake ?? {};
  const side = (part) => h("span", {}, amount(part), h("span", { class: "soft" }, ` ${percent(share(part, stake.total))}`));
  const more = told.submission ?? null;
  const rows = [
    ["statement", "Statement", digest(told.statement)], ["status", "Status", verdictWords(told)], ["proof", "Proof", [digest(told.proof), " ", bytes(told.proofBytes)]],
    ["program", "Program", digest(told.program)], ["submitter", "Submitter", digest(told.submitter, { href: `#/accounts/${encodeURIComponent(clean(told.submitter, 80))}` })],
    ["ordered", "Ordered in block", height(told.ordered)], ["finalHeight", "Verdict in block", told.finalHeight === null || told.finalHeight === undefined ? "–" : height(told.finalHeight)],
    ["verifier", "Verifier version", count(told.verifier)], ["fee", "Fee", `${money(told.fee)} units`], ["sequence", "Number", count(told.sequence)],
    ["accept", "Stake for acceptance", side(stake.accept)], ["reject", "Stake for rejection", side(stake.reject)],
    ...(more ? [["roots", "Roots", digest(more.roots)], ["revealed", "Revealed values, salted", digest(more.revealed)], ["policy", "Policy", /^0*$/u.test(clean(more.policy)) ? "none" : digest(more.policy)], ["context", "Context, salted", digest(more.context)], ["nullifier", "Nullifier", digest(more.nullifier)]] : []),
  ];
  const body = rows.map(([field, name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", { "data-name": name }, value), h("td", { "data-name": "Source" }, mark(field))));
  const links = isDigest(statement) ? h("p", { class: "files" }, h("a", { href: `v1/records/${statement}/certificate`, download: `${statement.slice(0, 8)}.ztc` }, "Certificate file"), h("a", { href: `v1/records/${statement}/proof`, download: `${statement.slice(0, 8)}.ztdo` }, "Proof with statement")) : null;
  return h("section", { class: "card" }, h("h2", {}, "What the node says, and what backs it"),
    h("div", { class: "scroll" }, h("table", { class: "facts" }, h("caption", { class: "away" }, "Fields of the record and their source"),
      h("thead", { class: "away" }, h("tr", {}, h("th", { scope: "col" }, "Field"), h("th", { scope: "col" }, "Value"), h("th", { scope: "col" }, "Source"))), h("tbody", {}, body))),
    committee(found), links);
}

function verdictWords(told) {
  const { word, kind } = status(told);
  const what = clean(told.what, 200);
  return h("span", {}, badge(word, kind), word === "rejected" && what ? h("span", { class: "soft" }, ` ${what}`) : null);
}

// Who signed the block that the certificate is about.
function committee({ certificate }) {
  const shown = certificate?.accepted ? certificate.certificate : null;
  if (!shown) return null;
  const seats = items(shown.committee?.seats);
  const rows = seats.map((seat, at) => [count(at), digest(seat.account, { href: `#/accounts/${encodeURIComponent(clean(seat.account, 80))}` }), amount(seat.stake), seat.signed ? badge("signed", "good") : badge("did not sign", "open")]);
  return h("details", {}, h("summary", {}, `Who signed block ${count(shown.height)} (${moment(shown.time).textContent})`),
    table("Seats of the committee", [{ name: "Seat", number: true }, { name: "Account" }, { name: "Stake", number: true }, { name: "Vote" }], rows, ""),
    pairs([["Header", digest(shown.header)], ["State", digest(shown.state)], ["Entry", [`namespace ${count(shown.entry?.namespace)}, key `, digest(shown.entry?.key)]]]));
}
