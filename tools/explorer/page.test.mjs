// The page in Chromium, against a made-up node: honest, bent, hostile.
//
//     node tools/explorer/page.test.mjs
//
// ZEROTELL_PICTURES=FOLDER keeps a picture of every page at every width in both schemes.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { is, run, test } from "./count.mjs";
import { launch } from "./browser.mjs";
import { SMALL, START, index, start } from "./node.mjs";

const browser = await launch(process.env.ZEROTELL_CHROMIUM ?? "/usr/bin/chromium");
const [GOOD, BAD] = index.records;
const PICTURES = process.env.ZEROTELL_PICTURES;
const NOW = START + 66_000;
const text = (selector = "main") => `(document.querySelector(${JSON.stringify(selector)})?.innerText ?? "")`;
const settled = "document.querySelector('#verdict') && document.querySelector('#verdict').dataset.state !== 'wait'";

// A tab on a node; whatever goes on in it, the console stays silent and nothing leaves the origin.
async function on({ bend, path = "", now = NOW, quiet = true, first = "" }, body) {
  const node = await start({ bend });
  const tab = await browser.tab();
  try {
    await tab.send("Page.addScriptToEvaluateOnNewDocument", { source: `Date.now = () => ${now}; ${first}` });
    await tab.view({ width: 1280 });
    await tab.go(`${node.url}#/${path}`);
    await body(tab, node);
    if (quiet) is(tab.noted.errors, [], "console");
    is(tab.noted.requests.filter((url) => !url.startsWith(node.url) && !url.startsWith("data:")), [], "requests to elsewhere");
  } finally {
    await tab.close();
    node.stop();
  }
}

const PAGES = { "": "Overview", blocks: "Blocks", "blocks/2040": "Block 2,040", records: "Records", validators: "Validators", models: "Models", slashes: "Slashes", parameters: "Parameters", trust: "Trust", [`accounts/${index.accounts[1]}`]: "Account" };

// How light the page and its letters are, from 0 to 255.
const LIGHT = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('main h1')).color].map((colour) => colour.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3)";
const VIEWS = [1280, 360].flatMap((width) => [false, true].map((dark) => ({ width, dark })));

test("every page shows, at every width, in both schemes", () => on({}, async (tab, node) => {
  for (const [path, title] of Object.entries(PAGES)) {
    await tab.run(`location.hash = "#/${path}"`);
    await tab.until(`document.querySelector("main h1")?.innerText === ${JSON.stringify(title)}`, title);
    for (const view of VIEWS) {
      const where = `${title}, ${view.width} pixels, ${view.dark ? "dark" : "light"}`;
      await tab.view(view);
      is(await tab.run("document.documentElement.scrollWidth <= innerWidth"), true, `${where}: fits`);
      const [paper, ink] = await tab.run(LIGHT);
      is([paper > 200, paper < 60, ink > 180, ink < 80], [!view.dark, view.dark, view.dark, !view.dark], `${where}: paper ${paper}, ink ${ink}`);
      if (PICTURES) writeFileSync(join(PICTURES, `${where.replace(/\W+/gu, "-").toLowerCase()}.png`), await tab.picture());
    }
    is(await tab.run("document.querySelectorAll('main .trouble').length"), 0, title);
  }
  is(node.asked.some((path) => path.startsWith("/v1/events")), true);
}));

test("every control has a name, every page one title", () => on({ path: `records/${GOOD.statement}` }, async (tab) => {
  await tab.until(settled);
  for (const path of Object.keys(PAGES)) {
    await tab.run(`location.hash = "#/${path}"`);
    await tab.until(`document.querySelector("main h1")?.innerText === ${JSON.stringify(PAGES[path])}`);
    const { nodes } = await tab.send("Accessibility.getFullAXTree");
    const bare = nodes.filter((one) => !one.ignored && ["button", "link", "textbox", "searchbox", "table"].includes(one.role?.value) && !one.name?.value);
    is(bare.map((one) => one.role.value), [], `without a name on ${path || "the overview"}`);
    is(await tab.run("document.querySelectorAll('h1').length"), 1);
  }
}));

test("a good certificate and proof check out in the browser", () => on({ path: `records/${GOOD.statement}` }, async (tab) => {
  await tab.until(settled);
  is(await tab.run("document.querySelector('#verdict').dataset.state"), "passed", await tab.run(text()));
  const shown = await tab.run(text());
  for (const words of ["Checked here: certificate and proof hold", "3 of 4 seats signed block 2061", "What is not claimed", "First visit", "in the certificate", "in the proof", "node's word"]) is(shown.includes(words), true, words);
  is(await tab.run("document.querySelectorAll('.line.failed').length"), 0);
  is(await tab.run("document.querySelectorAll('.line.passed').length > 12"), true);
  const kept = await tab.run("JSON.parse(localStorage.getItem('zerotell.checkpoint'))");
  is([kept.bytes, kept.from], [index.checkpoint, "first use"]);
}));

test("a record that was rejected is refused by the browser too", () => on({ path: `records/${BAD.statement}` }, async (tab) => {
  await tab.until(settled);
  is(await tab.run(text("#verdict h2")), "Rejected by the network, and by this browser too");
  is(await tab.run("document.querySelectorAll('.shown').length"), 0, "nothing of a refused proof is shown");
}));

const bent = (part, at) => (path, told) => {
  if (path !== `records/${GOOD.statement}/${part}`) return told;
  const copy = Buffer.from(told);
  copy[at] ^= 1;
  return copy;
};

for (const [part, at, title] of [["certificate", 1_200, "The certificate is refused"], ["proof", 40_000, "The proof is refused"], ["proof", 100, "The proof is refused"]]) {
  test(`a ${part} with byte ${at} changed is refused, visibly`, () => on({ path: `records/${GOOD.statement}`, bend: bent(part, at) }, async (tab) => {
    await tab.until(settled);
    is(await tab.run(text("#verdict h2")), title);
    is(await tab.run("document.querySelectorAll('.line.failed').length > 0"), true);
    is((await tab.run(text())).includes("certificate and proof hold"), false);
  }));
}

test("a certificate of another record is refused", () => {
  const bend = (path, told) => (path === `records/${GOOD.statement}/certificate` ? readOther : told);
  let readOther = null;
  return on({}, async (_, node) => {
    readOther = Buffer.from(await (await fetch(`${node.url}v1/records/${BAD.statement}/certificate`)).arrayBuffer());
  }).then(() => on({ path: `records/${GOOD.statement}`, bend }, async (tab) => {
    await tab.until(settled);
    is(await tab.run(text("#verdict h2")), "The certificate is refused");
  }));
});

test("a node that contradicts the certificate is found out", () => {
  const bend = (path, told) => (path === `records/${GOOD.statement}` ? { ...told, fee: "1" } : told);
  return on({ path: `records/${GOOD.statement}`, bend }, async (tab) => {
    await tab.until(settled);
    is(await tab.run(text("#verdict h2")), "The node contradicts the certificate");
    is(await tab.run("document.querySelectorAll('.word.bad').length"), 1);
  });
});

test("a node that contradicts the proof is found out", () => {
  const bend = (path, told) => (path === `records/${GOOD.statement}` ? { ...told, submission: { ...told.submission, nullifier: "0".repeat(64) } } : told);
  return on({ path: `records/${GOOD.statement}`, bend }, async (tab) => {
    await tab.until(settled);
    is(await tab.run(text("#verdict h2")), "The node contradicts the proof");
  });
});

test("a pinned checkpoint of another network is kept, and the certificate refused", () => {
  const other = index.checkpoint.replace(/^../u, (byte) => (byte === "00" ? "01" : "00"));
  const pin = { bytes: other, network: other.slice(0, 64), digest: "0".repeat(64), committee: "0".repeat(64), epoch: 2, height: 1_999, time: START, from: "pasted", at: START };
  return on({ path: `records/${GOOD.statement}`, first: `localStorage.setItem("zerotell.checkpoint", ${JSON.stringify(JSON.stringify(pin))});` }, async (tab) => {
    await tab.until(settled);
    is(await tab.run(text("#verdict h2")), "The certificate is refused");
    is(await tab.run("JSON.parse(localStorage.getItem('zerotell.checkpoint')).bytes"), other);
  });
});

test("an old checkpoint is refused by the clock", () => on({ path: `records/${GOOD.statement}`, now: START + 15 * 86_400_000 }, async (tab) => {
  await tab.until(settled);
  is(await tab.run(text("#verdict h2")), "The pinned checkpoint is too old, or this clock is wrong");
  is((await tab.run(text("#verdict"))).includes("older than the trust period"), true);
}));

test("a checkpoint can be pasted, and nonsense cannot", () => on({ path: "trust" }, async (tab) => {
  const paste = (value) => tab.run(`document.querySelector("#bytes").value = ${JSON.stringify(value)}; document.querySelector("main form").requestSubmit()`);
  await paste(`${index.checkpoint}00`);
  await tab.until(`${text(".refused")}.includes("no checkpoint")`);
  await paste(index.checkpoint.toUpperCase());
  await tab.until(`${text("main h2")} === "Pinned"`);
  is(await tab.run("JSON.parse(localStorage.getItem('zerotell.checkpoint')).from"), "pasted");
}));

test("a record without certificate and proof says what is missing", () => on({ path: "records", quiet: false }, async (tab) => {
  await tab.run("[...document.querySelectorAll('tbody tr')].find((row) => row.innerText.includes('pending')).querySelector('a').click()");
  await tab.until(settled);
  is(await tab.run(text("#verdict h2")), "Nothing could be checked yet");
  is((await tab.run(text("#verdict"))).includes("Not checked: this node does not have the proof."), true);
}));

// Whatever a node says: markup, scripts, handlers, links, letters that turn text round, values of the wrong kind.
const HOSTILE = `"><img src=x onerror="window.broken=1"><script>window.broken=1</script>\u202egnp.exe`;
const poison = (value) => (typeof value === "string" ? HOSTILE : Array.isArray(value) ? value.map(poison) : value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, poison(one)])) : value);
const wrong = (value) => (Array.isArray(value) ? value.map(wrong) : value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, typeof one === "number" ? { toString: HOSTILE } : typeof one === "string" ? [HOSTILE] : wrong(one)])) : value);

for (const [name, spoil] of [["hostile strings", poison], ["values of the wrong kind", wrong]]) {
  test(`${name} from the node stay text`, () => {
    const bend = (path, told) => (Buffer.isBuffer(told) || told === null ? told : spoil(told));
    return on({ bend, quiet: false }, async (tab) => {
      for (const path of [...Object.keys(PAGES), `records/${GOOD.statement}`]) {
        await tab.run(`location.hash = "#/${path}"`);
        await new Promise((resolve) => setTimeout(resolve, 150));
        await tab.until("document.querySelector('main h1, main h2')");
        is(await tab.run("[window.broken === undefined, document.querySelectorAll('main img, main script, main iframe, main [onerror]').length, [...document.querySelectorAll('main a')].every((a) => a.getAttribute('href').startsWith('#/') || a.getAttribute('href').startsWith('v1/'))]"), [true, 0, true], path);
        is((await tab.run(text())).includes("\u202e"), false, `letters that turn text round on ${path}`);
      }
      if (spoil === poison) {
        await tab.run("location.hash = '#/parameters'");
        await tab.until(`${text()}.includes("<img src=x")`, "the hostile text, as text");
      }
      is(tab.noted.errors.filter((line) => !line.includes("404")), [], "console");
    });
  });
}

test("a node that fails or sends no JSON is told of, with a way to try again", () => {
  let broken = true;
  const bend = (path, told) => (broken && path === "blocks" ? Buffer.from("<html>") : told);
  return on({ bend, path: "blocks" }, async (tab) => {
    is(await tab.run(text(".trouble h2")), "That did not work");
    broken = false;
    await tab.run("document.querySelector('.trouble button').click()");
    await tab.until("document.querySelectorAll('tbody tr').length === 25");
  });
});

test("a bond that is too small for a seat is shown, and what leaves of it", () => on({ quiet: false }, async (tab) => {
  await tab.run(`location.hash = '#/accounts/${SMALL}'`);
  await tab.until(`${text("main h1")} === "Account"`);
  await tab.until(`document.querySelector("main").innerText.includes("5,000")`, "the bond");
  is(await tab.run(`document.querySelector("main").innerText.includes("36,288,200")`), true, "its withdrawal");
}));

test("validators show what they earned and lost, and since when", () => on({ path: "validators" }, async (tab) => {
  const cell = (row, name) => tab.run(`document.querySelectorAll("tbody tr")[${row}].querySelector('[data-name="${name}"] .amount').title`);
  const row = await tab.run(`[...document.querySelectorAll("tbody tr")].findIndex((one) => one.innerText.includes(${JSON.stringify(index.accounts[2].slice(0, 8))}))`);
  for (const [name, units] of [["Earned", 123_900_000_000], ["In this epoch", 2_500_000], ["Slashed", 15_000_028_000]]) is(await cell(row, name), `${units.toLocaleString()} units`, name);
  is((await tab.run(text())).includes("since the network began"), true);
}));

test("a node that began with a snapshot says from where it counts", () => on({ path: "validators", bend: (path, told) => (path === "validators" ? { ...told, since: 1_500 } : told) }, async (tab) => {
  is((await tab.run(text())).includes("since block 1,500"), true, await tab.run(text()));
}));

test("slashes say what showed each, and not that nobody decides", () => on({ path: "slashes" }, async (tab) => {
  const rows = await tab.run("[...document.querySelectorAll('tbody tr')].map((row) => row.querySelector('[data-name=\"For\"]').innerText)");
  is(rows.map((row) => [/signed by it/u.test(row), /case by two thirds/u.test(row), /stayed silent/u.test(row), /not noted/u.test(row)].map(Number).join("")), ["1000", "1000", "0100", "1000", "1000", "0100", "0010", "1000", "0001"], "signed, decided, silent, unknown");
  is((await tab.run(text())).includes("nobody decides"), false);
}));

test("search finds blocks, records and accounts, and says when there is nothing", () => on({ quiet: false }, async (tab) => {
  const search = (words) => tab.run(`document.querySelector("#query").value = ${JSON.stringify(words)}; document.querySelector("#search").requestSubmit()`);
  for (const [words, title] of [["2040", "Block 2,040"], [` ${GOOD.statement.toUpperCase()} `, "Record"], [index.accounts[0], "Account"]]) {
    await search(words);
    await tab.until(`${text("main h1")} === ${JSON.stringify(title)}`, title);
  }
  for (const words of ["f".repeat(64), "nonsense"]) {
    await search(words);
    await tab.until(`${text(".trouble h2")} === "Not found"`);
    await tab.run("document.querySelector('#tabs a').click()");
    await tab.until(`${text("main h1")} === "Overview"`);
  }
}));

await run();
await browser.stop();
