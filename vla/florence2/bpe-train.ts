import { BYTE_CHARACTERS, splitPieces, toByteCharacters } from "./byte-level.ts";
import type { AddedToken, TokenizerJson } from "./tokenizer.ts";

export interface BpeOptions {
  /** Entries of the finished vocabulary, `<mask>` and `<Flow>` included; fewer when the corpus has no more pairs. */
  readonly size: number;
}

/**
 * Trains a byte-level vocabulary on a small corpus (Sennrich et al., arXiv:1508.07909): the most frequent adjacent
 * pair becomes a merge, again and again; ties go to the pair that sorts first, so the result depends on nothing but
 * the corpus. A pair seen once is no merge. The corpus must not spell special tokens.
 *
 * Layout as BART's: `<s>` `<pad>` `</s>` `<unk>`, the 256 bytes, the merges, `<mask>`; then `<Flow>`.
 * The result is a complete `tokenizer.json`, also for the Hugging Face library.
 */
export function trainBpe(corpus: readonly string[], { size }: BpeOptions): TokenizerJson {
  const ends = ["<mask>", "<Flow>"];
  const tokens = ["<s>", "<pad>", "</s>", "<unk>", ...BYTE_CHARACTERS];
  const starts = tokens.slice(0, 4);
  if (size < tokens.length + ends.length) {
    throw new Error(`trainBpe: expected a size of at least ${tokens.length + ends.length}, got ${size}`);
  }
  const special = [...starts, ...ends].find((token) => corpus.some((text) => text.includes(token)));
  if (special !== undefined) throw new Error(`trainBpe: expected plain text, found ${special}`);

  const words = countWords(corpus);
  const merges: [string, string][] = [];
  while (tokens.length + ends.length < size) {
    const pair = mostFrequentPair(words);
    if (pair === undefined) break;
    merges.push(pair);
    // Two merges may spell the same ("ab" + "c", "a" + "bc"): one entry serves both.
    if (!tokens.includes(pair.join(""))) tokens.push(pair.join(""));
    for (const word of words) mergeInto(word.symbols, pair);
  }

  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const added: AddedToken[] = [
    ...starts.map((content, id) => addedToken(id, content)),
    ...ends.map((content, i) => addedToken(tokens.length + i, content)),
  ];
  return { ...FRAME, added_tokens: added, model: { ...MODEL, vocab, merges } };
}

interface Word {
  readonly symbols: string[];
  readonly count: number;
}

function countWords(corpus: readonly string[]): Word[] {
  const counts = new Map<string, number>();
  for (const text of corpus) {
    for (const piece of splitPieces(text)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  }
  return [...counts].map(([piece, count]) => ({ symbols: toByteCharacters(piece), count }));
}

function mostFrequentPair(words: readonly Word[]): [string, string] | undefined {
  const counts = new Map<string, number>();
  for (const { symbols, count } of words) {
    for (let i = 0; i + 1 < symbols.length; i++) {
      const pair = `${symbols[i]} ${symbols[i + 1]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + count);
    }
  }
  let best: string | undefined;
  let most = 1;
  for (const [pair, count] of counts) {
    if (count > most || (count === most && best !== undefined && pair < best)) [best, most] = [pair, count];
  }
  return best?.split(" ") as [string, string] | undefined;
}

function mergeInto(symbols: string[], [left, right]: readonly [string, string]): void {
  for (let i = 0; i + 1 < symbols.length; i++) {
    if (symbols[i] === left && symbols[i + 1] === right) symbols.splice(i, 2, left + right);
  }
}

function addedToken(id: number, content: string): AddedToken {
  const lstrip = content === "<mask>"; // as BART has it
  return { id, content, single_word: false, lstrip, rstrip: false, normalized: false, special: true };
}

/** What other readers of `tokenizer.json` want to be told, and ours takes for granted. */
const BYTE_LEVEL = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
const FRAME = {
  version: "1.0",
  truncation: null,
  padding: null,
  normalizer: null,
  pre_tokenizer: BYTE_LEVEL,
  post_processor: {
    type: "RobertaProcessing",
    sep: ["</s>", 2],
    cls: ["<s>", 0],
    trim_offsets: true,
    add_prefix_space: false,
  },
  decoder: BYTE_LEVEL,
};
const MODEL = {
  type: "BPE",
  dropout: null,
  unk_token: null,
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  fuse_unk: false,
  byte_fallback: false,
};
