// One call of the module: byte arrays become a pointer and a length, the answer is JSON after its length.

export function call(exports, what, values) {
  const blocks = [];
  const words = values.flatMap((value) => {
    if (!(value instanceof Uint8Array)) return [value];
    if (value.length === 0) return [0, 0];
    const start = exports.alloc(value.length) >>> 0;
    if (start === 0) throw new Error("These bytes are too many to be checked here.");
    new Uint8Array(exports.memory.buffer, start, value.length).set(value);
    blocks.push([start, value.length]);
    return [start, value.length];
  });
  const out = exports[what](...words) >>> 0;
  const length = new DataView(exports.memory.buffer).getUint32(out, true);
  const text = new TextDecoder().decode(new Uint8Array(exports.memory.buffer, out + 4, length));
  for (const [start, bytes] of [...blocks, [out, length + 4]]) exports.free(start, bytes);
  return JSON.parse(text);
}
