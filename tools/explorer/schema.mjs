// Whether a value fits a schema: the part of JSON Schema that openapi.json uses.

const kinds = { object: (v) => v !== null && typeof v === "object" && !Array.isArray(v), array: Array.isArray, string: (v) => typeof v === "string", integer: Number.isInteger, boolean: (v) => typeof v === "boolean", null: (v) => v === null };

// Where a value does not fit, each as one line; an object may have fields that the schema does not know.
export function misfits(value, schema, document, place = "") {
  if (schema.$ref) return misfits(value, schema.$ref.split("/").slice(1).reduce((at, key) => at[key], document), document, place);
  if (schema.anyOf) return schema.anyOf.some((one) => misfits(value, one, document, place).length === 0) ? [] : [`${place}: none of the choices`];
  if (![schema.type].flat().some((kind) => kinds[kind](value))) return [`${place}: ${JSON.stringify(value)} is no ${schema.type}`];
  const found = [];
  if (typeof value === "string" && schema.pattern && !new RegExp(schema.pattern, "u").test(value)) found.push(`${place}: "${value}" does not match ${schema.pattern}`);
  if (schema.enum && !schema.enum.includes(value)) found.push(`${place}: ${value} is none of ${schema.enum}`);
  if (typeof value === "number" && (value < (schema.minimum ?? value) || value > (schema.maximum ?? value))) found.push(`${place}: ${value} is out of bounds`);
  if (Array.isArray(value)) {
    if (value.length > (schema.maxItems ?? Infinity)) found.push(`${place}: too many items`);
    found.push(...value.flatMap((item, at) => misfits(item, schema.items, document, `${place}[${at}]`)));
  } else if (kinds.object(value)) {
    found.push(...(schema.required ?? []).filter((key) => value[key] === undefined).map((key) => `${place}.${key}: missing`));
    for (const [key, one] of Object.entries(value)) {
      const inner = schema.properties?.[key] ?? schema.additionalProperties;
      if (inner && one !== undefined) found.push(...misfits(one, inner, document, `${place}.${key}`));
    }
  }
  return found;
}
