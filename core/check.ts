/**
 * One-line errors for arguments that cannot be right: who was called, what was expected, what was given. The compiler
 * refuses most of them; these serve callers that run without it, and the numbers that types do not tell apart.
 */

/** Under this key, objects say which copy of the package their class comes from: all copies use the same key. */
const COPY: symbol = Symbol.for("nina-ts: copy");
const OWN = {};

/** Marks the objects of a class as made by this copy of the package. */
export function markCopy(type: { readonly prototype: object }): void {
  Object.defineProperty(type.prototype, COPY, { value: OWN });
}

/** True for a tensor or module of another copy of the package, which has a heap of its own. */
export function isForeign(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const copy = (value as { [COPY]?: unknown })[COPY];
  return copy !== undefined && copy !== OWN;
}

export function refuse(who: string, expected: string, value: unknown): never {
  throw new Error(`${who}: expected ${expected}, got ${shown(value)}`);
}

/** A value in a few words. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value)) {
    const plain = value.length <= 8 && value.every((item) => typeof item !== "object");
    return plain ? `[${value.map(shown).join(", ")}]` : `an array of ${value.length}`;
  }
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name} of ${value.byteLength} bytes`;
  const name = value.constructor?.name ?? "Object";
  const { shape } = value as { shape?: unknown };
  const what = name === "Object" ? "an object" : `a ${name}`;
  const described = Array.isArray(shape) ? `${what} of shape (${shape.join(", ")})` : what;
  return isForeign(value)
    ? `${described} made by another copy of nina-ts: every import must load the same one`
    : described;
}

/** Throws unless `value` is an integer in [low, high]. */
export function checkInteger(value: unknown, low: number, who: string, what: string, high = Infinity): void {
  if (!Number.isSafeInteger(value) || (value as number) < low || (value as number) > high) {
    const range = high === Infinity ? `of at least ${low}` : `in [${low}, ${high}]`;
    refuse(who, `${what} to be an integer ${range}`, value);
  }
}

/** Throws unless `value` is a finite number of at least `low`. */
export function checkFinite(value: unknown, who: string, what: string, low = -Infinity): void {
  if (!Number.isFinite(value) || (value as number) < low)
    refuse(who, `${what} to be a finite number${low === -Infinity ? "" : ` of at least ${low}`}`, value);
}

/** Throws unless `value` is a finite number above 0. */
export function checkPositive(value: unknown, who: string, what: string): void {
  if (!Number.isFinite(value) || (value as number) <= 0)
    refuse(who, `${what} to be a positive number`, value);
}

/** Throws unless `value` is in [0, 1): a probability of something that may not always happen, a decay rate. */
export function checkShare(value: unknown, who: string, what: string): void {
  if (typeof value !== "number" || !(value >= 0 && value < 1)) refuse(who, `${what} in [0, 1)`, value);
}

/** Throws unless `value` is a function. */
export function checkFunction(value: unknown, who: string, what: string): void {
  if (typeof value !== "function") refuse(who, `${what} to be a function`, value);
}

/** Throws unless every one of the given options is known: a misspelt one would be ignored. */
export function checkOptions(options: unknown, known: readonly string[], who: string): void {
  if (typeof options !== "object" || options === null || Array.isArray(options))
    refuse(who, `an object with ${known.join(", ")}`, options);
  for (const key in options) {
    if (!known.includes(key)) throw new Error(`${who}: expected options ${known.join(", ")}, got ${key}`);
  }
}

/** Throws unless each of the named options is true or false. */
export function checkFlags(options: object, names: readonly string[], who: string): void {
  for (const name of names) {
    const value = (options as Record<string, unknown>)[name];
    if (typeof value !== "boolean") refuse(who, `${name} to be true or false`, value);
  }
}

/** Throws unless every value is an integer that 32 bits hold. */
export function checkInt32(values: ArrayLike<number>, who: string): void {
  for (let i = 0; i < values.length; i++) {
    if ((values[i] | 0) !== values[i])
      throw new Error(`${who}: expected integers that fit int32, got ${values[i]}`);
  }
}
