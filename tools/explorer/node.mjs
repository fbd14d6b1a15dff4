// A made-up node: serves the page and answers as docs of the interface say, out of `vectors/browser/v1` and a seed.
//
//     node tools/explorer/node.mjs [port]
//
// Options of `start`: `bend` may change any answer, to play a node that lies.

import { createServer } from "node:http";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PAGE = `${ROOT}crates/node/explorer/`;
const VECTORS = `${ROOT}vectors/browser/v1/`;
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8", svg: "image/svg+xml", wasm: "application/wasm", json: "application/json" };
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export const index = JSON.parse(readFileSync(`${VECTORS}index.json`, "utf8"));
const hash = (text) => createHash("sha256").update(text).digest("hex");
const some = (text, most) => parseInt(hash(text).slice(0, 8), 16) % most;

// The vectors' own time: the made-up chain ends shortly after the certificates.
export const START = 1_790_000_000_000;
const TIP = 2_064;
const account = (n) => index.accounts[n % index.accounts.length];

// ---- answers ----

function block(height) {
  const records = height === 2_040 ? 2 : some(`records ${height}`, 10) > 5 ? 1 + some(`more ${height}`, 4) : 0;
  return {
    height, digest: hash(`block ${height}`), time: START + (height - 2_000) * 1_000, epoch: Math.floor(height / 1_000), proposer: account(some(`p${height}`, 4)),
    transactions: records + 8 + some(`t${height}`, 9), records, state: hash(`state ${height}`), committee: hash(`committee ${Math.floor(height / 1_000)}`),
  };
}

function wholeBlock(height) {
  const head = block(height);
  const kinds = ["commit-verdicts", "reveal-verdicts", "transfer", "submit-record", "register-model"];
  const list = Array.from({ length: head.transactions }, (_, at) => {
    const seat = at < 8;
    const code = !seat && some(`c${height} ${at}`, 9) === 0 ? 1 : 0;
    return {
      id: hash(`tx ${height} ${at}`), kind: seat ? kinds[at % 2] : kinds[2 + (at % 3)], sender: seat ? account(at) : hash(`user ${at}`), nonce: seat ? height - 8 : at, fee: seat ? "0" : String(4_000_000 + 1_000 * at),
      lane: seat ? "seat" : "paid", code, what: code ? "more than the account has" : "",
    };
  });
  return { ...head, parent: hash(`block ${height - 1}`), outcomes: hash(`outcomes ${height}`), list, finality: hash("f").repeat(3), signers: 3, seats: 4, header: hash("h").repeat(9) };
}

const TOTAL = 5_500_000_000_000n;
const stakes = (accept, reject) => ({ accept: String(accept), reject: String(reject), total: String(TOTAL) });

// Two records are real; the others fill the lists.
function recordAt(sequence) {
  const real = index.records[["accepted", "rejected"].indexOf({ 41: "accepted", 40: "rejected" }[sequence])];
  if (real) {
    const { name, submission: _, ...known } = real;
    const good = name === "accepted";
    return {
      sequence, ...known, what: good ? "accepted" : "the proof does not show the statement", finalHeight: 2_056, recalled: false,
      accept: good ? index.accounts : [], reject: good ? [] : index.accounts.slice(0, 3), stake: good ? stakes(TOTAL, 0n) : stakes(0n, 4_250_000_000_000n),
    };
  }
  const status = sequence > 41 ? "pending" : some(`s${sequence}`, 11) === 0 ? "rejected" : some(`s${sequence}`, 17) === 1 ? "undecided" : "accepted";
  return {
    sequence, statement: hash(`statement ${sequence}`), program: hash(`program ${sequence % 5}`), proof: hash(`proof ${sequence}`), proofBytes: 90_000 + some(`b${sequence}`, 200_000), submitter: hash(`submitter ${sequence}`),
    ordered: 2_022 + sequence - (sequence > 41 ? 0 : 24), verifier: 1, fee: String(42_000_000 + some(`f${sequence}`, 9_000_000)), status, code: status === "rejected" ? 20 : 0, what: status === "rejected" ? "the proof does not show the statement" : status === "accepted" ? "accepted" : "",
    finalHeight: status === "pending" ? null : 2_030 + sequence, recalled: sequence === 38, accept: [], reject: [], stake: status === "pending" ? stakes(0n, 0n) : status === "rejected" ? stakes(0n, TOTAL) : stakes(4_600_000_000_000n, 0n),
  };
}

const RECORDS = 43;
const recordBy = (statement) => Array.from({ length: RECORDS }, (_, n) => recordAt(n)).find((one) => one.statement === statement);
const submission = (statement) => ({
  ...Object.fromEntries(["roots", "revealed", "policy", "context", "nullifier", "seal"].map((name) => [name, name === "policy" ? "0".repeat(64) : hash(name)])), ...index.records.find((one) => one.statement === statement)?.submission,
});

// What an account earned and lost: those with a seat, and half of a penalty for one who reported.
function earned(key) {
  const n = index.accounts.indexOf(key);
  const [total, epoch] = n >= 0 ? [41_300_000_000 * (n + 1), 1_250_000 * n] : key === SMALL ? [7_500_000_000, 0] : [0, 0];
  return { total: String(total), epoch: String(epoch), slashed: n === 2 ? "15000028000" : "0" };
}

function validators() {
  const bond = (n) => String(1_000_000_000_000 + n * 250_000_000_000);
  return index.accounts.map((one, n) => ({
    account: one, bond: bond(n), slashable: bond(n), stake: bond(n), seat: [...index.accounts].sort().indexOf(one), offences: n === 2 ? 6 : 0, missed: n, owed: 0, balance: String(7_300_000 * (n + 1)), earned: earned(one), consensus: hash(`k${n}`).repeat(3),
    address: n === 2 ? "[2001:db8::2]:7100" : `v${n}.example.org:7100`,
    unbonding: n === 1 ? [{ amount: "20000000000", height: 36_288_100 }] : [],
  })).concat([{ account: hash("candidate"), bond: "900000000000", slashable: "900000000000", stake: null, seat: null, offences: 0, missed: 0, owed: 0, unbonding: [], balance: "12000", earned: earned(""), consensus: hash("k9").repeat(3), address: "192.0.2.9:7100" }]);
}

function status() {
  return {
    network: index.network, version: "0.1.0", verifier: 1, height: TIP, epoch: 2, time: block(TIP).time, header: hash(`block ${TIP}`), state: hash(`state ${TIP}`), committee: hash("committee 2"), account: account(0), seat: 0, peers: 2, peersConfigured: 3,
    pool: { transactions: 12, bytes: 18_432 }, records: RECORDS, syncing: false, workPrice: "1180", bytePrice: "104", supply: "1000000000000000", burned: "48210334000",
  };
}

// What an account has bonded: of those without a seat, one has too little for it, and some of that is leaving.
function bonded(key) {
  const small = { account: SMALL, bond: "5000", slashable: "7000", offences: 0, missed: 0, owed: 0, unbonding: [{ amount: "2000", height: 36_288_200 }], consensus: hash("k10").repeat(3), address: "" };
  const found = validators().concat(small).find((one) => one.account === key);
  if (!found) return null;
  const { bond, slashable, offences, missed, owed, unbonding, consensus, address } = found;
  return { bond, slashable, offences, missed, owed, unbonding, consensus, address };
}

const MODELS = Array.from({ length: 6 }, (_, n) => ({ owner: hash(`owner ${n}`), model: hash(`model ${n}`), program: hash(`program ${n % 5}`), weights: hash(`weights ${n}`), links: n % 3, height: 1_000 + 40 * n }));
export const DATASET = { owner: hash("owner 0"), root: hash("root"), schema: hash("schema"), source: hash("source"), height: 1_300 };
export const SMALL = hash("a small bond");

const CAUSES = ["equivocation", "early-reveal", "wrong-verdict", "wrong-execution", "engine", "error", "withheld", "wrong-custody", null];
const SLASHES = CAUSES.map((cause, n) => ({ sequence: 8 - n, height: 1_410 - n, account: account(2), lost: n === 0 ? "15000000000" : String(1_000 * n), offences: Math.max(1, 6 - n), cause }));

const PARAMETERS = { epoch_blocks: "1000", block_bytes: "8000000", block_work: "400000", commit_blocks: "8", reveal_blocks: "8", unbonding_blocks: "36288000", seats: "64", least_bond: "1000000000000", first_offence: "100", verifier: "1" };

function page(all, before, limit, key) {
  const rest = all.filter((one) => before === null || one[key] < before).slice(0, limit);
  const next = rest.length === limit && rest.at(-1)[key] > 0 ? rest.at(-1)[key] : null;
  return { rest, next };
}

// The answer to a path: an object, bytes, or null for 404.
export function answer(path, query) {
  const before = query.has("before") ? Number(query.get("before")) : null;
  const limit = Math.min(100, Number(query.get("limit") ?? 20));
  const records = () => Array.from({ length: RECORDS }, (_, n) => recordAt(RECORDS - 1 - n));
  const [kind, key, part] = path.split("/");
  switch (`${kind}${key ? "/" : ""}${part ? "/" : ""}`) {
    case "status": return status();
    case "blocks": {
      const from = Math.min(before ?? TIP + 1, TIP + 1) - 1;
      return { blocks: Array.from({ length: Math.max(0, Math.min(limit, from + 1)) }, (_, n) => block(from - n)) };
    }
    case "blocks/": return Number(key) <= TIP ? wholeBlock(Number(key)) : null;
    case "records": { const { rest, next } = page(records(), before, limit, "sequence"); return { records: rest, next }; }
    case "records/": { const one = recordBy(key); return one ? { ...one, submission: submission(key) } : null; }
    case "records//": {
      const name = index.records.find((one) => one.statement === key)?.name;
      return name ? readFileSync(`${VECTORS}${name}.${part === "proof" ? "ztdo" : "ztc"}`) : null;
    }
    case "transactions/": return key === wholeBlock(2_040).list[9].id ? { id: key, state: "final", height: 2_040, index: 9, code: 0, what: "", fee: "4009000" } : null;
    case "accounts/": return { account: key, nonce: index.accounts.includes(key) ? 12 : 0, nextNonce: index.accounts.includes(key) ? 12 : 0, balance: index.accounts.includes(key) ? "7300000" : "0", inFlight: 0, earned: earned(key), since: 0, validator: bonded(key) };
    case "validators": return { epoch: 2, since: 0, validators: validators() };
    case "slashes": return { slashes: before === null ? SLASHES : [], next: null };
    case "models": return { models: before === null ? MODELS : [], next: null };
    case "models//": return MODELS.find((one) => one.owner === key && one.model === part) ?? null;
    case "datasets//": return key === DATASET.owner && part === DATASET.root ? DATASET : null;
    case "parameters": return PARAMETERS;
    case "decisions": return { epoch: 2, coming: { height: 3_000, parameters: { ...PARAMETERS, seats: "80" } }, ballots: [{ subject: hash("vote"), seats: [0, 2], stake: "2500000000000" }], suspended: [{ class: 18, since: 1_700 }] };
    case "checkpoint": return { epoch: 2, height: 1_999, time: START, network: index.network, checkpoint: index.checkpoint, committee: "00", digest: hash("unused") };
    default: return null;
  }
}

// ---- serving ----

function send(response, status_, type, body) {
  response.writeHead(status_, { "content-type": type, "content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store" });
  response.end(body);
}

function file(response, name) {
  try {
    send(response, 200, TYPES[name.split(".").at(-1)], readFileSync(PAGE + name));
  } catch {
    send(response, 404, "text/plain", "not found");
  }
}

function events(response, streams) {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  const { height, digest, time, transactions, records } = block(TIP);
  response.write(`event: block\ndata: ${JSON.stringify({ height, digest, time, transactions, records })}\n\n`);
  streams.add(response);
}

// Starts a node on a free port, or the one that is given; `bend(path, answer)` may change an answer or throw.
export function start({ bend = (_, told) => told, port = 0 } = {}) {
  const streams = new Set();
  const asked = [];
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://node");
    asked.push(request.url);
    if (pathname === "/") return file(response, "index.html");
    if (/^\/assets\/[a-z]+\.[a-z]+$/u.test(pathname)) return file(response, pathname.slice(1));
    if (pathname === "/v1/events") return events(response, streams);
    if (!pathname.startsWith("/v1/")) return send(response, 404, "text/plain", "not found");
    const path = pathname.slice(4);
    const told = bend(path, answer(path, searchParams));
    if (told === null) return send(response, 404, TYPES.json, JSON.stringify({ error: { code: "ZN004", what: "there is no such thing", fix: "compare the digest or height; it may not be final yet" } }));
    if (Buffer.isBuffer(told)) return send(response, 200, "application/octet-stream", told);
    return send(response, 200, TYPES.json, JSON.stringify(told));
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve({
    url: `http://127.0.0.1:${server.address().port}/`, asked, server,
    stop: () => { for (const stream of streams) stream.destroy(); server.closeAllConnections(); server.close(); },
  })));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await start({ port: Number(process.argv[2] ?? 8700) });
  console.log(url);
}
