import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { florenceTokens, Tokenizer } from "../../../vla/florence2/tokenizer.ts";
import type { ParityCase, ParityResult } from "../case.ts";

interface GoldenText {
  readonly text: string;
  readonly ids: readonly number[];
  readonly truncated77?: readonly number[] | null;
}

interface Golden {
  readonly vocab_size_total: number;
  readonly added_ids: Readonly<Record<string, number>>;
  readonly cases: readonly GoldenText[];
  readonly full_prompts?: readonly GoldenText[];
  readonly batch: { readonly texts: readonly string[]; readonly ids: readonly (readonly number[])[] };
}

/** The vocabularies that may lie in a folder, each with its cases. Ids are compared exactly. */
export function tokenizerCases(dir: string): ParityCase[] {
  const pairs = [
    { name: "tokenizer_synthetic", cases: "tokenizer_synthetic_cases" },
    { name: "tokenizer_real", cases: "tokenizer_real_ids" },
  ];
  return pairs
    .filter(({ cases }) => existsSync(join(dir, `${cases}.json`)))
    .map(({ name, cases }) => ({ name, kind: "tokenizer", run: () => compare(dir, name, cases) }));
}

function compare(dir: string, vocabulary: string, cases: string): ParityResult {
  const json = JSON.parse(readFileSync(join(dir, `${vocabulary}.json`), "utf8"));
  const golden = JSON.parse(readFileSync(join(dir, `${cases}.json`), "utf8")) as Golden;
  const locations = Object.keys(golden.added_ids).reduce(
    (most, token) => Math.max(most, 1 + Number(/^<loc_(\d+)>$/.exec(token)?.[1] ?? -1)),
    0,
  );
  const tokenizer = new Tokenizer(json, [...florenceTokens(locations), "<Flow>"]);
  const wrong: string[] = [];
  const check = (text: string, got: ArrayLike<number>, expected: readonly number[]): void => {
    if (String(Array.from(got)) !== String(expected)) wrong.push(JSON.stringify(text).slice(0, 60));
  };
  const texts = [...golden.cases, ...(golden.full_prompts ?? [])];
  for (const { text, ids, truncated77 } of texts) {
    check(text, tokenizer.encode(text, Number.POSITIVE_INFINITY), ids);
    check(text, tokenizer.encode(text), truncated77 ?? ids);
  }
  const batch = tokenizer.encodeBatch(golden.batch.texts);
  check("batch", batch.ids, golden.batch.ids.flat());
  if (tokenizer.size !== golden.vocab_size_total) wrong.push(`size ${tokenizer.size}`);
  for (const [token, id] of Object.entries(golden.added_ids))
    check(token, tokenizer.encode(token).slice(1, -1), [id]);
  const note = wrong.length === 0 ? `${texts.length} texts` : `differs: ${wrong.slice(0, 5).join(", ")}`;
  return { error: wrong.length, tolerance: 0, pass: wrong.length === 0, note };
}
