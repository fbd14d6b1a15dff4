// The node's answers. All of them are the node's word.

export class Trouble extends Error {
  constructor(message, { status = 0, code = "", fix = "" } = {}) {
    super(message);
    Object.assign(this, { status, code, fix });
  }
}

const PATIENCE = 20_000;
const text = (value) => (typeof value === "string" ? value : "");

async function ask(path, signal) {
  const limit = AbortSignal.timeout(PATIENCE);
  try {
    return await fetch(path, { signal: signal ? AbortSignal.any([signal, limit]) : limit, credentials: "omit", cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Trouble(limit.aborted ? "The node did not answer in 20 seconds." : "The node cannot be reached.", { fix: "Is it running, and is this page still served by it?" });
  }
}

async function refuse(response) {
  let said = null;
  try { said = (await response.json())?.error; } catch { /* not every server answers in JSON */ }
  throw new Trouble(text(said?.what) || `The node answered with status ${response.status}.`, { status: response.status, code: text(said?.code), fix: text(said?.fix) });
}

export async function get(path, signal) {
  const response = await ask(`v1/${path}`, signal);
  if (!response.ok) await refuse(response);
  try {
    return await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Trouble("The node's answer cannot be read.");
  }
}

// Bytes, at most so many; `told` hears how many have come.
export async function getBytes(path, most, signal, told = () => {}) {
  const response = await ask(`v1/${path}`, signal);
  if (!response.ok) await refuse(response);
  const parts = [];
  let have = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    have += value.length;
    if (have > most) {
      await reader.cancel();
      throw new Trouble(`The node sends more than ${most} bytes; that is not looked at.`);
    }
    parts.push(value);
    told(have);
  }
  const whole = new Uint8Array(have);
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}

// Blocks as they become final. Pages listen with `onBlock` while they are shown.
const listeners = new Set();
let state = "wait";

export function onBlock(listener, signal) {
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener));
}

export function watch(changed) {
  const source = new EventSource("v1/events");
  const set = (next) => { if (next !== state) { state = next; changed(next); } };
  source.addEventListener("open", () => set("on"));
  source.addEventListener("error", () => set("off"));
  source.addEventListener("block", (event) => {
    set("on");
    let block = null;
    try { block = JSON.parse(event.data); } catch { return; }
    if (typeof block?.height === "number") for (const listener of listeners) listener(block);
  });
  return source;
}
