// Checks run in a worker, so that the page never stands still. A worker that stops or takes too long is replaced.

const PATIENCE = 120_000;
let worker = null;
let next = 0;
const open = new Map();

function drop(why) {
  worker?.terminate();
  worker = null;
  for (const { reject } of open.values()) reject(new Error(why));
  open.clear();
}

function start() {
  if (worker) return worker;
  worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }) => {
    const waiting = open.get(data.id);
    open.delete(data.id);
    if (data.error) waiting?.reject(new Error(data.error));
    else waiting?.resolve(data.answer);
    // After a trap the module's memory is in no known state.
    if (data.error) drop("The checker stopped.");
  });
  worker.addEventListener("error", () => drop("The checker could not be started: does this browser allow WebAssembly here?"));
  return worker;
}

function ask(what, values) {
  return new Promise((resolve, reject) => {
    const id = ++next;
    const timer = setTimeout(() => drop("The checker took more than two minutes."), PATIENCE);
    const settle = (then) => (value) => { clearTimeout(timer); then(value); };
    open.set(id, { resolve: settle(resolve), reject: settle(reject) });
    start().postMessage({ id, what, values });
  });
}

export function unhex(text) {
  if (typeof text !== "string" || !/^([0-9a-f]{2})*$/u.test(text)) throw new Error("This is not hexadecimal.");
  return Uint8Array.from({ length: text.length / 2 }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

export async function readCheckpoint(hex) {
  return ask("checkpoint", [unhex(hex)]);
}

export function checkCertificate(file, pin, now) {
  return ask("certificate", [file, unhex(pin.bytes), BigInt(now)]);
}

export function checkProof(dossier, certificate) {
  return ask("proof", [dossier, certificate]);
}
