import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { FormatError } from "../../../core/formats/format-error.ts";
import {
  OrderedDict,
  type PickleGlobal,
  Stub,
  type UnpickleOptions,
  unpickle,
} from "../../../core/formats/pickle.ts";
import { P, u32 } from "./build.ts";

const globals = new Map<string, PickleGlobal>(
  [
    { path: "collections.OrderedDict", call: () => new OrderedDict() },
    { path: "test.constant" },
    { path: "test.count", call: (args: readonly unknown[]) => args.length },
  ].map((entry) => [entry.path, entry]),
);
const options: UnpickleOptions = {
  who: "test",
  globals,
  unknownGlobals: "refuse",
  persistentLoad: (id) => ({ persistent: id }),
};
const load = (bytes: Uint8Array, unknownGlobals: "refuse" | "stub" = "refuse"): unknown =>
  unpickle(bytes, { ...options, unknownGlobals });
const value = (opcodes: Uint8Array): unknown => load(P.file(opcodes));
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

/** Plain data and its opcodes, side by side. */
const { data } = fc.letrec<{ data: [unknown, Uint8Array]; key: [unknown, Uint8Array] }>((tie) => ({
  key: fc.oneof(
    fc.string({ unit: "binary" }).map((x): [unknown, Uint8Array] => [x, P.text(x)]),
    fc.integer().map((x): [unknown, Uint8Array] => [x, P.int(x)]),
  ),
  data: fc.oneof(
    { maxDepth: 4 },
    tie("key"),
    fc.constant<[unknown, Uint8Array]>([null, P.none]),
    fc.boolean().map((x): [unknown, Uint8Array] => [x, P.bool(x)]),
    fc.double().map((x): [unknown, Uint8Array] => [x, P.float(x)]),
    fc.uint8Array({ maxLength: 9 }).map((x): [unknown, Uint8Array] => [x, P.blob(x)]),
    fc
      .array(tie("data"), { maxLength: 4 })
      .map((xs): [unknown, Uint8Array] => [xs.map(([x]) => x), P.list(...xs.map(([, o]) => o))]),
    fc
      .array(tie("data"), { maxLength: 4 })
      .map((xs): [unknown, Uint8Array] => [xs.map(([x]) => x), P.tuple(...xs.map(([, o]) => o))]),
    fc
      .array(tie("key"), { maxLength: 4 })
      .map((xs): [unknown, Uint8Array] => [new Set(xs.map(([x]) => x)), P.set(...xs.map(([, o]) => o))]),
    fc
      .array(fc.tuple(tie("key"), tie("data")), { maxLength: 4 })
      .map((xs): [unknown, Uint8Array] => [
        new Map(xs.map(([[k], [v]]) => [k, v])),
        P.dict(...xs.map(([[, k], [, v]]): [Uint8Array, Uint8Array] => [k, v])),
      ]),
  ),
}));

describe("plain data", () => {
  test.prop([data], { numRuns: 300 })("comes back as it was", ([expected, opcodes]) => {
    expect(value(opcodes)).toEqual(expected);
  });

  test("tuples are frozen, lists are not", () => {
    expect(Object.isFrozen(value(P.tuple()))).toBe(true);
    expect(Object.isFrozen(value(P.list()))).toBe(false);
  });

  // What Python 3.11's pickle.dumps writes, protocols 2 and 4.
  test.each<[string, string, unknown]>([
    [
      "[1, 300, 70000, -1], protocol 2",
      "8002 5d7100 28 4b01 4d2c01 4a70110100 4affffffff 65 2e",
      [1, 300, 70000, -1],
    ],
    [
      "2**40 and -2**40",
      "8002 8a06000000000001 8a06000000000 0ff 86 7100 2e".replace("0 0ff", "00ff"),
      [2 ** 40, -(2 ** 40)],
    ],
    ["2**70", "8002 8a09 000000000000000040 2e", 2n ** 70n],
    ["0 as a long of no bytes", "8002 8a00 2e", 0],
    [
      "{'a': (1, 2.5)}, protocol 4",
      "8004 9513000000000000007d94 8c0161 94 4b01 474004000000000000 8694 73 2e",
      new Map([["a", [1, 2.5]]]),
    ],
    ["{'x'}, protocol 4", "8004 950900000000000000 8f94 28 8c0178 94 90 2e", new Set(["x"])],
    ["Python 2's str", "8002 5503 61ff62 2e", "a\u00ffb"],
    ["a string that begins with a byte order mark", "8002 5803000000 efbbbf 2e", "\ufeff"],
  ])("%s", (_, bytes, expected) => {
    expect(load(hex(bytes))).toEqual(expected);
  });

  test("values are shared and remembered, cycles included", () => {
    const shared = value(P.tuple(P.put(3, P.list(P.int(1))), P.get(3))) as unknown[];
    expect(shared[0]).toBe(shared[1]);
    // l = []; l.append(l)
    const cycle = load(hex("8002 5d 7100 6800 61 2e")) as unknown[];
    expect(cycle[0]).toBe(cycle);
    const table = load(hex("8002 7d 7100 4b01 6800 73 2e")) as Map<unknown, unknown>;
    expect(table.get(1)).toBe(table);
  });

  test("__proto__ is a key like others", () => {
    const table = value(P.dict([P.text("__proto__"), P.int(1)])) as Map<unknown, unknown>;
    expect(table.get("__proto__")).toBe(1);
    expect({}).not.toHaveProperty("polluted");
  });
});

describe("names", () => {
  test("mean what the table says, and nothing else", () => {
    expect(value(P.reduce(P.global("test", "count"), P.tuple(P.int(1), P.int(2))))).toBe(2);
    expect(() => value(P.reduce(P.global("test", "constant"), P.tuple()))).toThrow(
      /callable, found test.constant/,
    );
  });

  test.each([
    ["os", "system"],
    ["builtins", "eval"],
    ["posix", "system"],
    ["test", "constant.__class__"],
    ["", "__proto__"],
    ["constructor", "constructor"],
  ])("%s.%s is refused by name", (module, name) => {
    const call = P.reduce(P.global(module, name), P.tuple(P.text("true")));
    expect(() => value(call)).toThrow(FormatError);
    expect(() => value(call)).toThrow(`the global ${module}.${name}, which is refused`);
    const stacked = Buffer.concat([P.text(module), P.text(name), hex("93")]);
    expect(() => value(stacked)).toThrow(`the global ${module}.${name}, which is refused`);
  });

  test("become inert stubs in stub mode, holding all they were given", () => {
    const made = P.build(
      P.reduce(P.global("os", "system"), P.tuple(P.text("rm"))),
      P.dict([P.text("a"), P.int(1)]),
    );
    const stub = load(P.file(P.extend(P.fill(made, [P.text("k"), P.int(2)]), P.int(3))), "stub") as Stub;
    expect(stub).toBeInstanceOf(Stub);
    expect([stub.path, stub.args]).toEqual(["os.system", ["rm"]]);
    expect(stub.state).toEqual(new Map([["a", 1]]));
    expect([stub.entries, stub.items]).toEqual([new Map([["k", 2]]), [3]]);
  });

  test("a stub is no function", () => {
    const made = P.reduce(P.global("functools", "partial"), P.tuple());
    expect(() => load(P.file(P.reduce(made, P.tuple())), "stub")).toThrow(
      /a global to call, found an object of functools/,
    );
  });
});

describe("misuse", () => {
  const text = P.text("s");
  test.each<[string, Uint8Array, RegExp]>([
    ["calling a string", P.reduce(text, P.tuple()), /a global to call, found the string "s"/],
    [
      "calling with no tuple",
      P.reduce(P.global("test", "count"), P.int(1)),
      /a tuple of arguments for test.count/,
    ],
    ["building a dict", P.build(P.dict(), P.dict()), /an object that takes a state, found a dict/],
    ["building a list", P.build(P.list(), P.dict()), /takes a state, found a list/],
    ["appending to a tuple", P.extend(P.tuple(), P.int(1)), /a list to append to, found a tuple/],
    ["setting a key of a list", P.fill(P.list(), [text, text]), /a dict to set keys in/],
    ["a key without a value", Buffer.concat([hex("7d28"), text, hex("75")]), /in pairs, found 1/],
    ["a number beyond 2^53 as a key", P.dict([hex("8a09 000000000000000040"), text]), /a key below 2\^53/],
    ["a list as a key", P.dict([P.list(), text]), /a hashable key, found a list/],
    ["adding to a list", Buffer.concat([P.list(), hex("28"), text, hex("90")]), /a set to add to/],
    ["a memo slot never set", P.get(7), /nothing in memo slot 7/],
    ["an empty stack", hex("85"), /1 values on the stack, found fewer/],
    ["reaching below a mark", Buffer.concat([text, hex("28 85 74 86")]), /values on the stack, found fewer/],
    ["closing no mark", hex("74"), /a mark, found none/],
    ["remembering nothing", hex("7100"), /a value on the stack, found none/],
    ["a mark left open", Buffer.concat([text, hex("28")]), /one value at the end, found 1 and 1 marks/],
    ["two values left", Buffer.concat([text, text]), /one value at the end, found 2/],
    ["nothing left", hex(""), /one value at the end, found 0/],
    ["numbers as a global's name", hex("4b01 4b02 93"), /two strings to name a global/],
    ["a name without an end", Buffer.concat([hex("63"), Buffer.from("os")]), /a line naming a global/],
    ["a string that is no UTF-8", hex("58 01000000 ff"), /a string in UTF-8/],
    ["a frame beyond the end", hex("95 ffffffffffffffff"), /a frame inside/],
    ["protocol 6", hex("8006"), /protocol 5 or below, found 6/],
  ])("%s", (_, opcodes, message) => {
    expect(() => value(opcodes)).toThrow(FormatError);
    expect(() => value(opcodes)).toThrow(message);
  });

  test("bytes after the end", () => {
    expect(() => load(Buffer.concat([P.file(P.none), hex("2e")]))).toThrow(/after STOP, found 1 more/);
  });

  test("every opcode outside the list is refused, with its place", () => {
    const known =
      "80 95 28 30 31 4e 88 89 4b 4d 4a 8a 47 58 8c 55 42 43 29 74 85 86 87 5d 61 65 7d 73 75 8f 90 71 72 94 68 6a 63 93 52 81 62 51 2e";
    const allowed = new Set(known.split(" ").map((code) => Number.parseInt(code, 16)));
    for (let code = 0; code < 256; code++) {
      if (allowed.has(code)) continue;
      const message = `test, pickle byte 2: expected an opcode of plain data, found 0x${code.toString(16).padStart(2, "0")}`;
      expect(() => load(Buffer.concat([hex("8002"), Uint8Array.of(code)]))).toThrow(message);
    }
  });
});

describe("bounds", () => {
  const repeat = (code: number, times: number): Buffer => Buffer.alloc(times, code);

  test.each<[string, Uint8Array, RegExp]>([
    [
      "tuples nested 300,000 deep",
      Buffer.concat([hex("29"), repeat(0x85, 300_000)]),
      /nested at most 200 deep/,
    ],
    [
      "lists nested by append",
      Buffer.concat([repeat(0x5d, 500), repeat(0x61, 499)]),
      /nested at most 200 deep/,
    ],
    ["a million marks", repeat(0x28, 1_000_000), /at most 1000 open marks/],
    ["two million dicts", repeat(0x7d, 2_000_000), /at most 1000000 opcodes/],
    ["a string of 4 GiB", Buffer.concat([hex("58"), u32(0xffffffff)]), /4294967295 more bytes, found 1/],
    ["bytes of 4 GiB", Buffer.concat([hex("42"), u32(0xffffffff)]), /4294967295 more bytes/],
    ["a pickle of more than 64 MiB", Buffer.alloc(2 ** 26 + 1), /at most 67108864 bytes/],
  ])("%s", (_, opcodes, message) => {
    expect(() => value(opcodes)).toThrow(message); // once: these take a while
  });

  test("values shared so often that walking every path would never end", () => {
    // t = (); fifty times t = (t, t): two to the fifty paths, fifty objects.
    const doubling = Array.from({ length: 50 }, () => hex("7100 6800 86"));
    expect(value(Buffer.concat([hex("29"), ...doubling]))).toHaveLength(2);
  });
});

describe("damage", () => {
  const whole = P.file(
    P.dict(
      [P.text("weights"), P.persistent(P.tuple(P.text("storage"), P.text("0"), P.int(12)))],
      [
        P.text("order"),
        P.fill(P.reduce(P.global("collections", "OrderedDict"), P.tuple()), [P.text("k"), P.float(0.5)]),
      ],
      [P.text("rest"), P.list(P.put(0, P.tuple(P.int(1), P.bool(true), P.none)), P.get(0), P.set(P.int(3)))],
    ),
  );
  const tryLoad = (bytes: Uint8Array): void => {
    for (const mode of ["refuse", "stub"] as const) {
      try {
        load(bytes, mode);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
    }
  };

  test("every truncation is a FormatError", () => {
    for (let length = 0; length < whole.length; length++) {
      expect(() => load(whole.subarray(0, length))).toThrow(FormatError);
    }
  });

  test("every flipped bit gives a value or a FormatError", () => {
    for (let at = 0; at < whole.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const broken = Buffer.from(whole);
        broken[at] ^= 1 << bit;
        tryLoad(broken);
      }
    }
  });

  const opcodes = fc.constantFrom(
    ...hex("28 30 31 4e 88 29 74 85 86 87 5d 61 65 7d 73 75 8f 90 94 93 52 81 62 51"),
  );
  const pieces = fc.oneof(
    opcodes.map((code) => Buffer.of(code)),
    fc.nat(3).map((slot) => Buffer.of(0x71, slot)),
    fc.nat(3).map((slot) => Buffer.of(0x68, slot)),
    fc.constantFrom(
      P.global("collections", "OrderedDict"),
      P.global("os", "system"),
      P.text("test"),
      P.text("count"),
    ),
    data.map(([, o]) => Buffer.from(o)),
  );
  test.prop([fc.array(pieces, { maxLength: 40 })], { numRuns: 2000 })(
    "random programs of known opcodes give a value or a FormatError",
    (program) => tryLoad(P.file(Buffer.concat(program))),
  );

  test.prop([fc.uint8Array({ maxLength: 60 })], { numRuns: 2000 })("random bytes as well", (bytes) =>
    tryLoad(bytes),
  );
});
