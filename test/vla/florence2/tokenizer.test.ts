import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { trainBpe } from "../../../vla/florence2/bpe-train.ts";
import { promptFor } from "../../../vla/florence2/prompt.ts";
import {
  florenceTokens,
  loadTokenizer,
  Tokenizer,
  type TokenizerJson,
} from "../../../vla/florence2/tokenizer.ts";

const corpus = [
  "put the red block in the basket",
  "put the bowl on the plate and open the drawer",
  "open the top drawer of the cabinet",
  "turn on the stove",
].map((instruction) => promptFor(instruction));
const json = trainBpe(corpus, { size: 330 });
const tokenizer = new Tokenizer(json);

const bytesOf = new Map(Object.entries(json.model.vocab).map(([token, id]) => [id, token]));
/** What ids mean, from the vocabulary alone. */
const spelling = (ids: readonly number[]): string => ids.map((id) => bytesOf.get(id)).join("");

describe("a vocabulary of our own", () => {
  test("is the same every time, has the size asked for, and ids without holes", () => {
    expect(trainBpe(corpus, { size: 330 })).toEqual(json);
    const ids = [...Object.values(json.model.vocab), ...json.added_tokens.slice(4).map((token) => token.id)];
    expect(ids.sort((a, b) => a - b)).toEqual(Array.from({ length: 330 }, (_, i) => i));
    expect(tokenizer.size).toBe(330);
  });

  test("merges by frequency, ties in order of spelling", () => {
    // Pieces "aab" x3, " aab" x1: "a b" and "a a" both 4 times, the first of the two by spelling wins;
    // then "a"+"ab" 4 times, whose product only "Ġ" precedes, once.
    const { merges } = trainBpe(["aab", "aab", "aab aab"], { size: 400 }).model;
    expect(merges).toEqual([
      ["a", "a"],
      ["aa", "b"],
    ]);
  });

  test("spells two merges alike only once", () => {
    const text = "abcx abcx abcx abcx bcy bcy bcy bcy bcy bcy bcy ab ab ab ab ab ab ab ab ab ab";
    const vocab = trainBpe([text], { size: 400 }).model.vocab;
    const ids = Object.values(vocab).sort((a, b) => a - b);
    expect(ids).toEqual(Array.from({ length: ids.length }, (_, i) => i));
  });

  test("stops when no pair repeats", () => {
    expect(Object.keys(trainBpe(["ab"], { size: 400 }).model.vocab)).toHaveLength(260);
    expect(trainBpe(["ab ab"], { size: 400 }).model.merges).toEqual([["a", "b"]]);
    expect(() => trainBpe(corpus, { size: 261 })).toThrow("expected a size of at least 262, got 261");
    expect(() => trainBpe(["a <Flow>"], { size: 400 })).toThrow("expected plain text, found <Flow>");
  });
});

describe("laws", () => {
  const text = fc.oneof(fc.string({ unit: "binary", maxLength: 40 }), fc.string({ maxLength: 40 }));
  const plain = text.filter((t) => !/<(s|pad|\/s|unk|mask|Flow)>/.test(t));

  test.prop([plain])("the pieces spell the text's UTF-8 bytes, between <s> and </s>", (t) => {
    const ids = tokenizer.encode(t, 1000);
    expect([ids[0], ids.at(-1)]).toEqual([0, 2]);
    const letters = new Tokenizer({ ...json, model: { ...json.model, merges: [] } });
    expect(spelling(ids.slice(1, -1))).toBe(spelling(letters.encode(t, 1000).slice(1, -1)));
    expect(letters.encode(t, 1000)).toHaveLength(Buffer.byteLength(t) + 2);
  });

  test.prop([text, fc.integer({ min: 2, max: 30 })])(
    "cutting keeps the first ids and both ends",
    (t, maxLength) => {
      const whole = tokenizer.encode(t, 1000);
      const cut = tokenizer.encode(t, maxLength);
      expect(cut).toEqual(whole.length <= maxLength ? whole : [...whole.slice(0, maxLength - 1), 2]);
    },
  );

  test.prop([fc.array(text, { maxLength: 5 })])(
    "a batch is its rows, padded on the right with <pad>",
    (texts) => {
      const { ids, shape } = tokenizer.encodeBatch(texts);
      const rows = texts.map((t) => tokenizer.encode(t));
      expect(shape).toEqual([texts.length, Math.max(0, ...rows.map((row) => row.length))]);
      rows.forEach((row, i) => {
        const padded = [...row, ...new Array(shape[1] - row.length).fill(1)];
        expect([...ids.subarray(i * shape[1], (i + 1) * shape[1])]).toEqual(padded);
      });
    },
  );

  test.prop([text])("both spellings of merges mean the same", (t) => {
    const merges = json.model.merges.map((merge) => (merge as [string, string]).join(" "));
    const joined = new Tokenizer({ ...json, model: { ...json.model, merges } });
    expect(joined.encode(t)).toEqual(tokenizer.encode(t));
  });
});

describe("added tokens", () => {
  const more = new Tokenizer(json, ["<a>", "<a><b>", "<Flow>"]);

  test("get the next ids when the file lacks them, and are found wherever they stand", () => {
    expect([more.idOf("<a>"), more.idOf("<a><b>"), more.idOf("<Flow>"), more.size]).toEqual([
      330, 331, 329, 332,
    ]);
    expect(more.encode("<a>")).toEqual([0, 330, 2]);
    expect(more.encode("<a><b>")).toEqual([0, 331, 2]); // the longest at one position
    expect(more.encode("</s><A>").slice(0, 2)).toEqual([0, 2]); // ours are written exactly so
    expect(more.encode("</s><A>")).not.toContain(330);
  });

  test("keep their neighbours' spaces, but for <mask>, which takes those before it", () => {
    const [mask, space] = [tokenizer.idOf("<mask>")!, tokenizer.idOf("Ġ")!];
    expect(more.encode(" <a> ")).toEqual([0, space, 330, space, 2]);
    expect(more.encode(" \t\n<mask> ")).toEqual([0, mask, space, 2]);
  });

  test("of Florence-2 are 1024, in the order of its processor", () => {
    const tokens = florenceTokens(1000);
    expect(tokens).toHaveLength(1024);
    expect([tokens[0], tokens[4], tokens[1003], tokens.at(-1)]).toEqual([
      "<od>",
      "<loc_0>",
      "<loc_999>",
      "<and>",
    ]);
  });
});

describe("files that are not tokenizers", () => {
  test.each<[string, unknown, RegExp]>([
    ["another JSON", {}, /expected a tokenizer.json/],
    ["nothing", null, /expected a tokenizer.json/],
    ["a list for the vocabulary", { ...json, model: { vocab: [], merges: [] } }, /expected a tokenizer.json/],
    [
      "a missing byte",
      { added_tokens: [], model: { vocab: { "<s>": 0 }, merges: [] } },
      /every byte .* found no "Ā" \(256 missing\)/,
    ],
    ["a merge without an id", withMerges("q q"), /merge 0 in the vocabulary, found no "qq"/],
    ["a merge of an unknown part", withMerges(["zz", "q"]), /found no "zz"/],
    ["a merge of one part", withMerges("qq"), /two parts of model.merges\[0\], found "qq"/],
    ["a merge of three", withMerges(["q", "q", "q"]), /two parts of model.merges\[0\]/],
    ["a merge as a number", withMerges(5), /two parts of model.merges\[0\], found 5/],
    ["a part off the prototype", withMerges(["constructor", "q"]), /found no "constructor"/],
    ["no <s>", { added_tokens: [], model: { vocab: withoutSpecials(), merges: [] } }, /expected <s>/],
    ["an id used twice", withVocab({ more: 5 }), /expected one token of id 5, found .* and "more"/],
    [
      "two ids of one token",
      withAdded({ id: 333, content: "a" }),
      /expected one id for "a", found \d+ and 333/,
    ],
    ["a hole", withVocab({ more: 5000 }), /expected ids without holes, found no 330/],
    ["half an id", withVocab({ more: 0.5 }), /expected an id for "more", found 0.5/],
    ["an id as text", withVocab({ more: "332" }), /expected an id for "more", found "332"/],
    ["a negative id", withVocab({ more: -1 }), /expected an id for "more", found -1/],
    ["an added token without content", withAdded({ id: 332 }), /added_tokens\[6\] with its content/],
    ["an added token that is none", withAdded(null), /added_tokens\[6\] with its content, found null/],
    [
      "a flag that is none",
      withAdded({ id: 332, content: "x", lstrip: "yes" }),
      /lstrip of "x" true or false/,
    ],
    [
      "a token bound to words",
      { ...json, added_tokens: [{ content: "x", single_word: true }] },
      /single_word/,
    ],
  ])("%s is refused", (_, broken, message) => {
    expect(() => new Tokenizer(broken as TokenizerJson)).toThrow(message);
  });

  test("one error lists all that is wrong, in a few words", () => {
    const broken = { ...json, model: { vocab: { ...json.model.vocab, a: -1, b: 1.5 }, merges: ["q q", 7] } };
    const load = () => new Tokenizer(broken as unknown as TokenizerJson);
    for (const part of [/"a", found -1/, /"b", found 1.5/, /found no "qq"/, /merges\[1\], found 7/])
      expect(load).toThrow(part);
    const endless = { ...json, model: { ...json.model, merges: new Array(100_000).fill("x".repeat(1000)) } };
    const long = () => new Tokenizer(endless as unknown as TokenizerJson);
    expect(long).toThrow(/; and 99992 more$/);
    expect(long).not.toThrow(/.{1500}/);
  });

  test("a file is read whole only when it is a small regular file of JSON", () => {
    const folder = mkdtempSync(join(tmpdir(), "tokenizer-"));
    try {
      const path = join(folder, "tokenizer.json");
      expect(() => loadTokenizer(path)).toThrow(/a file that can be read, found none/);
      execFileSync("mkfifo", [path]);
      expect(() => loadTokenizer(path)).toThrow(/a regular file, found a device or pipe/);
      rmSync(path);
      writeFileSync(path, "{");
      expect(() => loadTokenizer(path)).toThrow(/expected JSON, found /);
      writeFileSync(path, JSON.stringify(withMerges(7)));
      expect(() => loadTokenizer(path)).toThrow(`${path}: Tokenizer: `);
      truncateSync(path, 2 ** 24 + 1);
      expect(() => loadTokenizer(path)).toThrow(/at most 16777216 bytes, found 16777217/);
      writeFileSync(path, JSON.stringify(json));
      expect(loadTokenizer(path).size).toBe(json.added_tokens.at(-1)!.id + 1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  function withMerges(...merges: unknown[]): unknown {
    return { ...json, model: { ...json.model, merges } };
  }

  function withVocab(more: Record<string, unknown>): unknown {
    return { ...json, model: { ...json.model, vocab: { ...json.model.vocab, ...more } } };
  }

  function withAdded(token: unknown): unknown {
    return { ...json, added_tokens: [...json.added_tokens, token] };
  }

  function withoutSpecials(): Record<string, number> {
    const { "<s>": _, ...rest } = json.model.vocab;
    return rest;
  }
});

const goldens = process.env.NINA_GOLDENS;

interface Cases {
  readonly cases: readonly { text: string; ids: number[]; truncated77: number[] | null }[];
  readonly full_prompts?: readonly { text: string; ids: number[] }[];
  readonly batch: { readonly texts: string[]; readonly input_ids?: number[][]; readonly ids?: number[][] };
  readonly added_ids: Readonly<Record<string, number>>;
  readonly vocab_size_total: number;
}

describe.skipIf(!goldens)("the reference tokenizer's ids (needs NINA_GOLDENS)", () => {
  const folder = join(goldens ?? "", "florence2");
  const read = <T>(name: string): T => JSON.parse(readFileSync(join(folder, name), "utf8"));

  describe.each([
    {
      name: "real",
      expected: "tokenizer_real_ids.json",
      make: () => loadTokenizer(join(folder, "tokenizer_real.json")),
    },
    {
      name: "synthetic",
      expected: "tokenizer_synthetic_cases.json",
      make: () => new Tokenizer(read("tokenizer_synthetic.json"), [...florenceTokens(20), "<Flow>"]),
    },
  ])("$name vocabulary", ({ expected, make }) => {
    if (!goldens) return;
    const golden = read<Cases>(expected);
    const real = make();

    test.each(golden.cases)("$text", ({ text, ids, truncated77 }) => {
      expect(real.encode(text, 10_000)).toEqual(ids);
      expect(real.encode(text)).toEqual(truncated77 ?? ids);
    });

    test("added tokens, whole prompts and the padded batch", () => {
      expect(real.size).toBe(golden.vocab_size_total);
      for (const [token, id] of Object.entries(golden.added_ids)) expect(real.idOf(token)).toBe(id);
      for (const { text, ids } of golden.full_prompts ?? []) expect(real.encode(text)).toEqual(ids);
      const { ids, shape } = real.encodeBatch(golden.batch.texts);
      const rows = (golden.batch.input_ids ?? golden.batch.ids)!;
      expect(shape).toEqual([rows.length, rows[0].length]);
      expect([...ids]).toEqual(rows.flat());
    });
  });
});
