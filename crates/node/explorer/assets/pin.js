// The checkpoint that this browser trusts, per origin. Whatever is checked here rests on it.
//
// The first visit takes the node's word for it ("trust on first use") and says so; from then on another node, or this
// one, cannot change it unseen. A reader who has a checkpoint from somewhere else pins that instead.

import { get } from "./api.js";
import { readCheckpoint } from "./check.js";
import { isDigest } from "./format.js";

const PLACE = "zerotell.checkpoint";
let unsaved = null;

function isPin(value) {
  return value && typeof value.bytes === "string" && /^([0-9a-f]{2}){1,400}$/u.test(value.bytes) && isDigest(value.network) && isDigest(value.digest)
    && ["first use", "pasted", "reached"].includes(value.from) && typeof value.at === "number" && typeof value.epoch === "number";
}

// What is pinned, or null.
export function pinned() {
  try {
    const value = JSON.parse(localStorage.getItem(PLACE));
    if (isPin(value)) return value;
  } catch { /* storage may be forbidden: then a pin lasts as long as the page */ }
  return unsaved;
}

function keep(value) {
  unsaved = value;
  try { localStorage.setItem(PLACE, JSON.stringify(value)); } catch { /* as above */ }
  return value;
}

export function forget() {
  unsaved = null;
  try { localStorage.removeItem(PLACE); } catch { /* as above */ }
}

// Pins bytes after the module has read them.
export async function pin(bytes, from) {
  const { checkpoint } = await readCheckpoint(bytes);
  if (!checkpoint) throw new Error("These bytes are no checkpoint.");
  return keep({ ...checkpoint, from, at: Date.now() });
}

// The pin; on the first visit, the newest one that the node names.
export async function pinnedOrFirst(signal) {
  const there = pinned();
  if (there) return { pin: there, isNew: false };
  const told = await get("checkpoint?latest=true", signal);
  return { pin: await pin(String(told.checkpoint), "first use"), isNew: true };
}

// A certificate was good: what it reached is pinned, so that the way there is not walked again and the pin stays young.
export function advance(reached) {
  const old = pinned();
  if (!old || reached.network !== old.network || reached.epoch <= old.epoch) return old;
  return keep({ ...reached, from: old.from === "first use" ? "first use" : "reached", at: old.at });
}
