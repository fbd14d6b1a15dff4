// Runs the module beside the page.

import { call } from "./call.js";

const module = (async () => {
  const response = await fetch(new URL("./zerotell.wasm", import.meta.url));
  if (!response.ok) throw new Error("The checker's module cannot be loaded.");
  const { instance } = await WebAssembly.instantiate(await response.arrayBuffer(), {});
  return instance.exports;
})();

self.addEventListener("message", async ({ data: { id, what, values } }) => {
  try {
    const exports = await module;
    const began = performance.now();
    const answer = call(exports, what, values);
    self.postMessage({ id, answer: { ...answer, milliseconds: performance.now() - began } });
  } catch (error) {
    const trap = error instanceof WebAssembly.RuntimeError;
    self.postMessage({ id, error: trap ? "The checker stopped at these bytes." : String(error?.message ?? error) });
  }
});
