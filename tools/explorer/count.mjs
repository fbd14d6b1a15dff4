// Tests by name, counted in the way that `cargo xtask test` reads.

const tests = [];
export const test = (name, body) => tests.push({ name, body });

export function is(found, wanted, what = "") {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${what ? `${what}: ` : ""}${a} is not ${b}`);
}

export async function run() {
  let failed = 0;
  for (const { name, body } of tests) {
    const began = performance.now();
    try {
      await body();
      console.log(`ok      ${name} (${Math.round(performance.now() - began)} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}\n${error.stack}`);
    }
  }
  console.log(`${tests.length - failed} passed, ${failed} failed`);
  process.exitCode = failed ? 1 : 0;
}
