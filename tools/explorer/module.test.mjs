// The committed module, run in Node on the vectors: it gives the verdicts that the plain code gives.
//
//     node tools/explorer/module.test.mjs

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { call } from "../../crates/node/explorer/assets/call.js";
import { is, run, test } from "./count.mjs";
import { DATASET, answer as told, START, index } from "./node.mjs";
import { misfits } from "./schema.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const read = (path) => new Uint8Array(readFileSync(ROOT + path));
const unhex = (text) => new Uint8Array(Buffer.from(text, "hex"));
const bytes = readFileSync(`${ROOT}crates/node/explorer/assets/zerotell.wasm`);
const { instance } = await WebAssembly.instantiate(bytes, {});
const module = instance.exports;
const ask = (what, ...values) => call(module, what, values);
const failure = (answer) => answer.checks.find((line) => line.state === "failed")?.name ?? null;
const flipped = (from, at, bit = 1) => { const copy = from.slice(); copy[at] ^= bit; return copy; };

const trusted = unhex(index.checkpoint);
const good = read("vectors/browser/v1/accepted.ztc");
const certificate = (file, now = 0) => ask("certificate", file, trusted, BigInt(now));

test("it asks for nothing from outside and gives away what it should", () => {
  is(WebAssembly.Module.imports(new WebAssembly.Module(bytes)).length, 0, "imports");
  const names = Object.keys(module).filter((name) => typeof module[name] === "function").sort();
  is(names, ["alloc", "certificate", "checkpoint", "free", "proof"]);
});

test("every certificate of the vectors gets its verdict", () => {
  const lines = JSON.parse(readFileSync(`${ROOT}vectors/certificate/v1/index.json`, "utf8"));
  for (const line of lines) {
    const answer = ask("certificate", read(`vectors/certificate/v1/${line.file}`), unhex(line.checkpoint), 0n);
    is(answer.accepted, line.verdict === "good", line.file);
    is(answer.certificate !== undefined, answer.accepted, line.file);
  }
  is(lines.filter((line) => line.verdict === "good").length, 15);
});

test("a record's certificate is read, and no flipped byte of it passes", () => {
  const answer = certificate(good, START + 66_000);
  is([answer.accepted, answer.certificate.record.statement, answer.certificate.record.status], [true, index.records[0].statement, "accepted"]);
  for (let at = 0; at < good.length; at += 7) is(certificate(flipped(good, at, 1 << at % 8)).accepted, false, `byte ${at}`);
});

test("an old checkpoint is refused", () => {
  is(failure(certificate(good, START + 14 * 86_400_000)), null);
  is(failure(certificate(good, START + 14 * 86_400_000 + 1)), "age");
});

test("the good dossier is accepted, with its certificate", () => {
  const answer = ask("proof", read("vectors/browser/v1/accepted.ztdo"), good);
  is([failure(answer), answer.accepted, answer.proof.statement], [null, true, index.records[0].statement]);
  is(answer.proof.provenBits >= 100, true, "bits");
});

// The verifier of 32 bits says of every golden proof what that of 64 bits says: the lies stop at the proof, the good ones
// get as far as the signature, which there is none of.
test("every golden proof gets its verdict", () => {
  const folder = "vectors/proofs/v1/";
  const framed = (part) => { const length = Buffer.alloc(8); length.writeBigUInt64LE(BigInt(part.length)); return Buffer.concat([length, part]); };
  const kind = (name, version) => Buffer.concat([Buffer.from(name), Buffer.from([version, 0])]);
  const counts = { accept: 0, reject: 0 };
  for (const name of readdirSync(ROOT + folder)) {
    const part = (file) => readFileSync(`${ROOT}${folder}${name}/${file}.bin`);
    const links = existsSync(`${ROOT}${folder}${name}/links.bin`);
    const proof = Buffer.concat([kind("ZTPF", 3), ...["program", "links", "statement", "proof"].map((file) => framed(file === "links" && !links ? Buffer.alloc(0) : part(file)))]);
    const dossier = Buffer.concat([kind("ZTDO", 1), framed(proof), ...[0, 1, 2].map(() => framed(Buffer.alloc(0))), Buffer.from([0])]);
    const wanted = readFileSync(`${ROOT}${folder}${name}/expect.txt`, "utf8").split("\n")[0].trim();
    const stopped = failure(ask("proof", new Uint8Array(dossier), new Uint8Array()));
    is(wanted === "accept" ? stopped === "form" : ["proof", "links"].includes(stopped), true, `${name}: stopped at ${stopped}`);
    counts[wanted] += 1;
  }
  is([counts.accept >= 7, counts.reject >= 8], [true, true]);
});

test("bent dossiers are refused", () => {
  const whole = read("vectors/browser/v1/accepted.ztdo");
  is(ask("proof", read("vectors/browser/v1/rejected.ztdo"), new Uint8Array()).accepted, false);
  for (let at = 0; at < whole.length; at += 2_003) {
    const answer = ask("proof", flipped(whole, at), new Uint8Array());
    is([answer.accepted, answer.proof === undefined], [false, true], `byte ${at}`);
  }
  // Another good proof than the certified one is refused too, by its name.
  is(ask("proof", whole, read("vectors/browser/v1/rejected.ztc")).accepted, false);
});

// The page is written against the made-up node, so that node must speak as the interface says.
test("the made-up node answers as openapi.json says", () => {
  const document = JSON.parse(readFileSync(`${ROOT}crates/node/src/openapi.json`, "utf8"));
  const known = { height: "2040", statement: index.records[0].statement, account: index.accounts[0], ...DATASET, model: told("models", new URLSearchParams()).models[0].model, id: told("blocks/2040", new URLSearchParams()).list[9].id };
  let seen = 0;
  for (const [path, { get }] of Object.entries(document.paths)) {
    const schema = get?.responses["200"].content["application/json"]?.schema;
    const found = told(path.replace(/^\/v1\//u, "").replace(/\{(\w+)\}/gu, (_, name) => known[name]), new URLSearchParams("limit=7"));
    if (!schema?.$ref || !path.startsWith("/v1/")) continue;
    is(misfits(found, schema, document), [], path);
    seen += 1;
  }
  is(seen, 15);
  is(misfits({ ...told("status", new URLSearchParams()), height: "1", supply: "01", network: undefined }, { $ref: "#/components/schemas/Status" }, document).length, 3, "and misfits are seen");
});

test("memory does not grow from call to call", () => {
  for (let n = 0; n < 3; n += 1) certificate(good);
  const before = module.memory.buffer.byteLength;
  for (let n = 0; n < 20; n += 1) certificate(good);
  is(module.memory.buffer.byteLength, before);
});

test("what it costs", () => {
  // Processor time, for the machine may be busy with other things.
  const time = (body) => {
    const began = process.cpuUsage();
    for (let n = 0; n < 20; n += 1) body();
    return (process.cpuUsage(began).user / 20_000).toFixed(1);
  };
  const dossier = read("vectors/browser/v1/accepted.ztdo");
  console.log(`        module ${bytes.length} bytes; certificate of 4 seats ${time(() => certificate(good))} ms; proof of ${dossier.length} bytes ${time(() => ask("proof", dossier, good))} ms`);
});

await run();
