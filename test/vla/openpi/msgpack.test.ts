import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { FormatError } from "../../../core/index.ts";
import { decode, encode, WireArray, type WireDType, type WireValue } from "../../../vla/openpi/msgpack.ts";

/** Bytes from text and from hex in <>: `"<93>abc"`. */
const bytes = (text: string): Uint8Array =>
  Buffer.concat(
    [...text.matchAll(/<([0-9a-f ]*)>|([^<]+)/g)].map(([, hex, plain]) =>
      hex === undefined ? Buffer.from(plain) : Buffer.from(hex.replaceAll(" ", ""), "hex"),
    ),
  );

const array: fc.Arbitrary<WireArray> = fc
  .tuple(
    fc.constantFrom<WireDType>("|b1", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f4", "<f8"),
    fc.array(fc.nat(4), { maxLength: 4 }),
  )
  .chain(([dtype, shape]) => {
    const length = shape.reduce((product, size) => product * size, Number(dtype[2]));
    return fc.uint8Array({ minLength: length, maxLength: length }).map((raw) => {
      const message = bytes(`<84 c40b>__ndarray__<c3 c404>data<c5${length.toString(16).padStart(4, "0")}>`);
      const rest = bytes(`<c405>dtype<a3>${dtype.replace("<", "<3c>")}<c405>shape<9${shape.length}>`);
      return decode(Buffer.concat([message, raw, rest, Uint8Array.from(shape)]), "array") as WireArray;
    });
  });

const { value } = fc.letrec<{ value: WireValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom<WireValue>(null, true, false, -0, Number.NaN, Infinity, 2 ** 53 - 1, 1 - 2 ** 53),
    fc.maxSafeInteger(),
    fc.integer({ min: -200, max: 300 }),
    fc.double(),
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.uint8Array({ maxLength: 300 }),
    array,
    fc.array(tie("value"), { maxLength: 20 }),
    fc
      .array(fc.tuple(fc.oneof(fc.string(), fc.constantFrom("__proto__", "__ndarray__")), tie("value")), {
        maxLength: 20,
      })
      .map((entries) => new Map(entries)),
  ),
}));

/** The value, or null where it is refused as it should be. */
function decoded(message: Uint8Array): { value: WireValue } | null {
  try {
    return { value: decode(message, "message") };
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return null;
  }
}

describe("laws", () => {
  test.prop([value])("what is encoded is decoded, wherever it lies in memory", (sent) => {
    const message = encode(sent);
    const shifted = new Uint8Array(message.length + 1).subarray(1);
    shifted.set(message);
    expect(decode(shifted, "message")).toEqual(sent);
  });

  test.prop([value, fc.nat()])("a message that is cut or goes on is refused", (sent, at) => {
    const message = encode(sent);
    expect(decoded(message.subarray(0, at % message.length))).toBeNull();
    expect(decoded(Buffer.concat([message, Uint8Array.of(0)]))).toBeNull();
  });

  test.prop([
    fc.oneof(fc.uint8Array({ maxLength: 64 }), value.map(encode)),
    fc.array(fc.tuple(fc.nat(), fc.nat(255))),
  ])(
    "whatever bytes come, there is a value that encodes to itself again, or one error",
    (message, changes) => {
      const changed = Uint8Array.from(message);
      for (const [at, byte] of changes) if (changed.length > 0) changed[at % changed.length] = byte;
      const got = decoded(changed);
      if (got) expect(decode(encode(got.value), "again")).toEqual(got.value);
    },
  );
});

describe("by hand, from the specification", () => {
  test.each<[string, WireValue]>([
    ["<c0>", null],
    ["<c2>", false],
    ["<c3>", true],
    ["<7f>", 127],
    ["<cc80>", 128],
    ["<cd0100>", 256],
    ["<ce00010000>", 65_536],
    ["<cf0000000100000000>", 2 ** 32],
    ["<e0>", -32],
    ["<d0df>", -33],
    ["<d1ff7f>", -129],
    ["<d2ffff7fff>", -32_769],
    ["<d3ffffffff7fffffff>", -(2 ** 31) - 1],
    ["<cb3ff8000000000000>", 1.5],
    ["<a3>abc", "abc"],
    [`<d920>${"x".repeat(32)}`, "x".repeat(32)],
    [`<da0100>${"x".repeat(256)}`, "x".repeat(256)],
    ["<c4020102>", Uint8Array.of(1, 2)],
    ["<93 01 a0 90>", [1, "", []]],
    [`<dc0010>${"\u0001".repeat(16)}`, Array(16).fill(1)],
    [
      "<82 a1>a<01 a1>b<80>",
      new Map<string, WireValue>([
        ["a", 1],
        ["b", new Map()],
      ]),
    ],
    // np.float32([[1.5, -2]])
    [
      "<84 c40b>__ndarray__<c3 c404>data<c408 0000c03f 000000c0 c405>dtype<a3><3c>f4<c405>shape<92 01 02>",
      new WireArray("<f4", [1, 2], Float32Array.of(1.5, -2)),
    ],
  ])("%s", (text, expected) => {
    expect(decode(bytes(text), "message")).toEqual(expected);
    expect(Buffer.from(encode(expected)).toString("hex")).toBe(Buffer.from(bytes(text)).toString("hex"));
  });

  test("spellings that only others use", () => {
    expect(decode(bytes("<ca3fc00000>"), "message")).toBe(1.5);
    expect(decode(bytes("<d9 01>a"), "message")).toBe("a");
    expect(decode(bytes("<dd00000001 05>"), "message")).toEqual([5]);
    expect(decode(bytes("<df00000001 a1>a<05>"), "message")).toEqual(new Map([["a", 5]]));
    const scalar = (data: string, dtype: string) =>
      decode(bytes(`<83 c40d>__npgeneric__<c3 c404>data${data}<c405>dtype<a3>${dtype}`), "message");
    expect(scalar("<cb3ff8000000000000>", "<3c>f8")).toBe(1.5);
    expect(scalar("<a4>push", "<3c>U4")).toBe("push");
  });

  test("with keys that are text it is a map, not an array", () => {
    const map = decode(
      bytes("<84 ab>__ndarray__<c3 a4>data<c40105 a5>dtype<a3>|u1<a5>shape<91 01>"),
      "message",
    );
    expect(map).toBeInstanceOf(Map);
    expect(map).not.toBeInstanceOf(WireArray);
  });
});

const numpy = (dtype: string, shape: string, data: string) =>
  `<84 c40b>__ndarray__<c3 c404>data${data}<c405>dtype<a3>${dtype}<c405>shape${shape}`;

test.each<[what: string, message: string, error: RegExp]>([
  ["nothing", "", /byte 0: expected 1 more bytes, found 0/],
  ["a list that claims 4 billion values", "<dd ffffffff 00>", /expected 1 more bytes, found 0/],
  [
    "a text that claims 4 billion bytes",
    "<db ffffffff>",
    /expected text of at most 65536 bytes, found 4294967295/,
  ],
  ["bytes that claim 4 billion", "<c6 ffffffff>", /expected 4294967295 more bytes, found 0/],
  ["endless nesting", "<91>".repeat(100_000), /expected values nested at most 16 deep/],
  [
    "a million values",
    `<dd000f4240>${"\u0001".repeat(1_000_000)}`,
    /expected at most 65536 values, found more/,
  ],
  ["an extension", "<d4 01 00>", /found type 0xd4/],
  ["the type that never is", "<c1>", /found type 0xc1/],
  [
    "a number beyond 2^53",
    "<cf0020000000000000>",
    /expected a whole number within .*, found 9007199254740992/,
  ],
  ["text that is no UTF-8", "<a1 ff>", /expected text in UTF-8/],
  ["a key twice", "<82 a1>a<01 a1>a<02>", /expected each key once, found "a"/],
  ["a key that is a number", "<81 01 01>", /expected a key that is text, found 1/],
  ["keys of both types", "<82 a1>a<01 c401>b<02>", /keys are all of one type/],
  ["bytes as keys of something else", "<81 c401>a<01>", /expected a NumPy array or scalar/],
  [
    "pickled objects",
    numpy("|O8", "<91 01>", "<c408 0000000000000000>"),
    /expected an array of .*, found "\|O8"/,
  ],
  ["big-endian numbers", numpy(">f4", "<91 01>", "<c404 00000000>"), /found ">f4"/],
  [
    "too few bytes",
    numpy("<3c>f4", "<91 02>", "<c404 00000000>"),
    /expected 8 bytes for <f4 \(2\), found 4 bytes/,
  ],
  [
    "a shape that overflows",
    numpy("|u1", "<92 ceffffffff ceffffffff>", "<c400>"),
    /expected a shape of at most 8/,
  ],
  ["a negative size", numpy("|u1", "<91 ff>", "<c400>"), /found \[-1\]/],
  ["nine axes", numpy("|u1", `<99>${"\u0001".repeat(9)}`, "<c40100>"), /found a list of 9/],
  [
    "a list in place of bytes",
    numpy("|u1", "<91 01>", "<91 01>"),
    /expected 1 bytes for \|u1 \(1\), found \[1\]/,
  ],
])("%s", (_, message, error) => {
  expect(() => decode(bytes(message), "message")).toThrow(error);
  expect(() => decode(bytes(message), "message")).toThrow(FormatError);
});
