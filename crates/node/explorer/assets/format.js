// Numbers, money and times for people. Whatever a node sends, each of these gives text.

import { clean, h } from "./dom.js";

const GROUPS = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const SPAN = new Intl.RelativeTimeFormat(undefined, { numeric: "always", style: "short" });

export function count(value) {
  return typeof value === "number" && Number.isFinite(value) ? GROUPS.format(value) : clean(value, 40) || "–";
}

export function big(value) {
  return typeof value === "string" && /^[0-9]{1,39}$/u.test(value) ? BigInt(value) : null;
}

// Units of money: whole numbers, in groups of three.
export function money(value) {
  const units = big(value);
  return units === null ? clean(value, 40) || "–" : units.toLocaleString();
}

// A large amount in a few letters; the whole is in the title.
export function amount(value) {
  const units = big(value);
  if (units === null) return h("span", {}, clean(value, 40) || "–");
  const steps = [[10n ** 18n, "E"], [10n ** 15n, "P"], [10n ** 12n, "T"], [10n ** 9n, "G"], [10n ** 6n, "M"]];
  const step = steps.find(([least]) => units >= least);
  const text = step ? `${GROUPS.format(Number((units * 100n) / step[0]) / 100)}\u00a0${step[1]}` : units.toLocaleString();
  return h("span", { title: `${units.toLocaleString()} units`, class: "amount" }, text);
}

// Part of a whole, in percent.
export function share(part, whole) {
  const [a, b] = [big(part), big(whole)];
  return a === null || b === null || b === 0n ? null : Math.min(100, Number((a * 10000n) / b) / 100);
}

export function percent(value) {
  return value === null ? "–" : `${GROUPS.format(value)}\u00a0%`;
}

export function bytes(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return clean(value, 40) || "–";
  if (value < 1000) return `${value} B`;
  return value < 1e6 ? `${GROUPS.format(Math.round(value / 10) / 100)} kB` : `${GROUPS.format(Math.round(value / 1e4) / 100)} MB`;
}

function isTime(value) {
  return typeof value === "number" && Number.isFinite(value) && Math.abs(value) < 8.64e15;
}

export function ago(value, now = Date.now()) {
  const seconds = Math.round((value - now) / 1000);
  const steps = [[86400, "day"], [3600, "hour"], [60, "minute"]];
  const step = steps.find(([least]) => Math.abs(seconds) >= least);
  return step ? SPAN.format(Math.trunc(seconds / step[0]), step[1]) : SPAN.format(seconds, "second");
}

// A moment, local, with its distance from now. Those with `data-ago` are kept up to date by `tick`.
export function moment(value, { relative = false } = {}) {
  if (!isTime(value)) return h("span", {}, clean(value, 40) || "–");
  const date = new Date(value);
  const local = MOMENT.format(date);
  return h("time", { datetime: date.toISOString(), title: relative ? local : date.toISOString(), "data-ago": relative ? value : undefined }, relative ? ago(value) : local);
}

export function tick() {
  for (const element of document.querySelectorAll("time[data-ago]")) element.textContent = ago(Number(element.dataset.ago));
}

// A list, whatever was sent, and no longer than is bearable.
export function items(value, most = 500) {
  return Array.isArray(value) ? value.slice(0, most).filter((item) => item !== null && typeof item === "object") : [];
}

export const isDigest = (value) => typeof value === "string" && /^[0-9a-f]{64}$/u.test(value);
export const isHeight = (value) => /^[0-9]{1,15}$/u.test(String(value));

const STATUS = { accepted: "good", rejected: "bad", pending: "wait", undecided: "open" };

// The word and the colour of a record's status.
export function status(record) {
  const word = typeof record?.status === "string" ? record.status : "unknown";
  return { word: clean(word, 20), kind: Object.hasOwn(STATUS, word) ? STATUS[word] : "open" };
}
