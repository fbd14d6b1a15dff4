// Chromium over a pipe, by its DevTools protocol: no package, no port.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
  "--disable-extensions", "--disable-default-apps", "--hide-scrollbars", "--force-color-profile=srgb", "--remote-debugging-pipe"];

export async function launch(program) {
  const folder = mkdtempSync(join(tmpdir(), "explorer-"));
  const child = spawn(program, [...FLAGS, `--user-data-dir=${folder}`, "about:blank"], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const [out, back] = [child.stdio[3], child.stdio[4]];
  const open = new Map();
  const hearers = new Set();
  let [next, rest] = [0, ""];
  back.setEncoding("utf8");
  back.on("data", (text) => {
    const parts = (rest + text).split("\0");
    rest = parts.pop();
    for (const message of parts.map((part) => JSON.parse(part))) {
      const waiting = open.get(message.id);
      open.delete(message.id);
      if (waiting) message.error ? waiting.reject(new Error(`${waiting.method}: ${message.error.message}`)) : waiting.resolve(message.result);
      else for (const hear of hearers) hear(message);
    }
  });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  gone.then(() => { for (const { reject } of open.values()) reject(new Error("Chromium ended")); });
  const ask = (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
    const id = ++next;
    open.set(id, { resolve, reject, method });
    out.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  });
  const stop = async () => {
    await Promise.race([ask("Browser.close").catch(() => {}), new Promise((resolve) => setTimeout(resolve, 2000))]);
    child.kill("SIGKILL");
    await gone;
    // Its other processes write for a while after it is gone.
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    } catch (why) {
      console.log(`left behind: ${folder}: ${why.message}`);
    }
  };
  return { tab: () => tab(ask, hearers), stop };
}

// A tab in a profile of its own: nothing is remembered from others.
async function tab(ask, hearers) {
  const { browserContextId } = await ask("Target.createBrowserContext");
  const { targetId } = await ask("Target.createTarget", { url: "about:blank", browserContextId });
  const { sessionId } = await ask("Target.attachToTarget", { targetId, flatten: true });
  const send = (method, params) => ask(method, params, sessionId);
  const noted = { errors: [], requests: [] };
  hearers.add((message) => {
    if (message.sessionId !== sessionId) return;
    const { method, params } = message;
    if (method === "Runtime.exceptionThrown") noted.errors.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type)) noted.errors.push(params.args.map((one) => one.value ?? one.description).join(" "));
    if (method === "Log.entryAdded" && params.entry.level === "error") noted.errors.push(`${params.entry.text} ${params.entry.url ?? ""}`);
    if (method === "Network.requestWillBeSent") noted.requests.push(params.request.url);
  });
  await Promise.all(["Runtime.enable", "Log.enable", "Network.enable", "Page.enable"].map((method) => send(method)));
  const run = async (expression) => {
    const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  // Waits until an expression is true.
  const until = async (expression, what = expression, patience = 15_000) => {
    const end = Date.now() + patience;
    while (Date.now() < end) {
      if (await run(`Boolean(${expression})`).catch(() => false)) return;
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    throw new Error(`waited in vain for: ${what}\n${await run("document.querySelector('main').innerText").catch(() => "")}`);
  };
  return {
    noted, run, until, send,
    go: async (url) => { await send("Page.navigate", { url }); await until("document.querySelector('main h1, main h2')", `a title at ${url}`); },
    view: ({ width, height = 900, dark = false }) => Promise.all([
      send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false }),
      send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }] }),
    ]),
    picture: async () => Buffer.from((await send("Page.captureScreenshot", { format: "png", captureBeyondViewport: true })).data, "base64"),
    close: () => ask("Target.disposeBrowserContext", { browserContextId }),
  };
}
