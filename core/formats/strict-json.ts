import { FormatError } from "./format-error.ts";

/** JSON with objects as Maps: no key can touch a prototype, and none is lost. */
export type Json = null | boolean | number | string | Json[] | Map<string, Json>;

/** File headers are shallow; a parser that recurses needs a bound. */
const MAX_NESTING = 32;
/** A tensor takes nine values: room for 110,000 of them, while the worst text (empty objects) stays below 300 MB. */
const MAX_VALUES = 1_000_000;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/**
 * Parses JSON (RFC 8259) and refuses an object that names a key twice, where `JSON.parse` keeps the last one.
 * Throws FormatError with the character position.
 */
export function parseStrictJson(who: string, text: string): Json {
  let at = 0;
  let values = 0;
  const value = parseValue(0);
  if (at < text.length) fail("the end after one value");
  return value;

  function parseValue(depth: number): Json {
    if (depth > MAX_NESTING) fail(`values nested at most ${MAX_NESTING} deep`);
    if (++values > MAX_VALUES) fail(`at most ${MAX_VALUES} values`);
    skipSpace();
    const value = parseBare(depth);
    skipSpace();
    return value;
  }

  function parseBare(depth: number): Json {
    switch (text[at]) {
      case "{":
        return parseObject(depth);
      case "[":
        return parseArray(depth);
      case '"':
        return parseString();
      case "t":
        return parseWord("true", true);
      case "f":
        return parseWord("false", false);
      case "n":
        return parseWord("null", null);
      default:
        return parseNumber();
    }
  }

  function parseObject(depth: number): Map<string, Json> {
    const object = new Map<string, Json>();
    at++;
    skipSpace();
    if (take("}")) return object;
    do {
      skipSpace();
      const key = parseString();
      if (object.has(key))
        throw new FormatError(who, "distinct keys", `${JSON.stringify(key.slice(0, 80))} twice`);
      skipSpace();
      if (!take(":")) fail('":"');
      object.set(key, parseValue(depth + 1));
    } while (take(","));
    if (!take("}")) fail('"," or "}"');
    return object;
  }

  function parseArray(depth: number): Json[] {
    const array: Json[] = [];
    at++;
    skipSpace();
    if (take("]")) return array;
    do array.push(parseValue(depth + 1));
    while (take(","));
    if (!take("]")) fail('"," or "]"');
    return array;
  }

  function parseString(): string {
    if (text[at] !== '"') fail("a string");
    let end = at + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
    const quoted = text.slice(at, end + 1);
    try {
      const value: string = JSON.parse(quoted); // knows the escapes, refuses bare control characters
      at = end + 1;
      return value;
    } catch {
      return fail("a well-formed string");
    }
  }

  function parseNumber(): number {
    NUMBER.lastIndex = at;
    const digits = NUMBER.exec(text)?.[0] ?? fail("a value");
    at += digits.length;
    return Number(digits);
  }

  function parseWord<T>(word: string, value: T): T {
    if (!text.startsWith(word, at)) fail("a value");
    at += word.length;
    return value;
  }

  function take(character: string): boolean {
    if (text[at] !== character) return false;
    at++;
    return true;
  }

  function skipSpace(): void {
    while (text[at] === " " || text[at] === "\n" || text[at] === "\t" || text[at] === "\r") at++;
  }

  function fail(expected: string): never {
    const found = at < text.length ? JSON.stringify(text.slice(at, at + 20)) : "the end";
    throw new FormatError(who, expected, `${found} at character ${at}`);
  }
}
