import { readFileSync } from "node:fs";
import { BYTE_CHARACTERS, splitPieces, toByteCharacters, WHITESPACE } from "./byte-level.ts";

/** The parts of a `tokenizer.json` this reads; everything else about BART's tokenizer is fixed. */
export interface TokenizerJson {
  readonly added_tokens: readonly AddedToken[];
  readonly model: {
    readonly vocab: Readonly<Record<string, number>>;
    /** In order of rank; older files write "a b", newer ones ["a", "b"]. */
    readonly merges: readonly (string | readonly [string, string])[];
  };
}

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly single_word: boolean;
  /** Swallows the white space before it, or after it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
}

/** Token ids of several texts, padded on the right with `<pad>` to the longest. */
export interface TokenBatch {
  readonly ids: Int32Array;
  /** (texts, longest). */
  readonly shape: readonly [number, number];
}

/** NinA and FLOWER cut prompts here, `<s>` and `</s>` included. */
const MAX_LENGTH = 77;

/** The token whose embedding FLOWER puts between image and text; never part of a text. */
const FLOW = "<Flow>";

/** The tokens Florence-2's processor adds to BART's, in order; the misspelling is theirs. Published: 1000 locations. */
export function florenceTokens(locations: number): string[] {
  const pairs = (...names: string[]): string[] => names.flatMap((name) => [`<${name}>`, `</${name}>`]);
  return [
    ...pairs("od", "ocr"),
    ...Array.from({ length: locations }, (_, i) => `<loc_${i}>`),
    ...pairs("cap", "ncap", "dcap", "grounding", "seg"),
    "<sep>",
    ...pairs("region_cap", "region_to_desciption", "proposal", "poly"),
    "<and>",
  ];
}

/**
 * Reads a `tokenizer.json` for a policy. BART's own file lacks Florence's 1024 tokens and FLOWER's `<Flow>`: they get
 * the next free ids, in this order. A file that already has `<Flow>` is complete and taken as it is.
 */
export function loadTokenizer(path: string): Tokenizer {
  const json = JSON.parse(readFileSync(path, "utf8")) as TokenizerJson;
  const complete = json.added_tokens?.some((token) => token.content === FLOW);
  return new Tokenizer(json, complete ? [] : [...florenceTokens(1000), FLOW]);
}

/** Byte-level byte pair encoding (arXiv:1508.07909, GPT-2's merges under BART's ids), as Florence-2 uses it. */
export class Tokenizer {
  readonly #vocab: Map<string, number>;
  /** "left right" → rank; a lower rank merges first. */
  readonly #ranks: Map<string, number>;
  readonly #added: Map<string, { id: number; lstrip: boolean; rstrip: boolean }>;
  readonly #addedPattern: RegExp;
  readonly #start: number;
  readonly #end: number;
  readonly #pad: number;
  /** One more than the largest id: the rows an embedding table needs. */
  readonly size: number;

  /** `extra` tokens that the file lacks get the next free ids, in their order. */
  constructor(json: TokenizerJson, extra: readonly string[] = []) {
    checkJson(json);
    this.#vocab = new Map(Object.entries(json.model.vocab));
    this.#ranks = new Map(json.model.merges.map((merge, rank) => [spellMerge(merge), rank]));
    this.#added = new Map(json.added_tokens.map((token) => [token.content, token]));
    this.#checkClosed();

    const used = [...this.#vocab.values(), ...json.added_tokens.map((token) => token.id)];
    let next = used.reduce((most, id) => Math.max(most, id), -1) + 1;
    for (const content of extra) {
      if (!this.#added.has(content)) this.#added.set(content, { id: next++, lstrip: false, rstrip: false });
    }
    this.size = next;
    // Longest first: at one position the longest token wins.
    const contents = [...this.#added.keys()].sort((a, b) => b.length - a.length);
    this.#addedPattern = new RegExp(contents.map(escapeRegExp).join("|") || "(?!)", "g");
    [this.#start, this.#end, this.#pad] = ["<s>", "</s>", "<pad>"].map((token) => {
      const id = this.idOf(token);
      if (id === undefined) throw new Error(`Tokenizer: expected ${token} in the vocabulary, found none`);
      return id;
    });
  }

  /** The id of a piece or an added token, in its byte spelling ("Ġthe"). */
  idOf(token: string): number | undefined {
    return this.#added.get(token)?.id ?? this.#vocab.get(token);
  }

  /** Text → `<s>` ids `</s>`, the content cut so that the whole has at most `maxLength` ids. */
  encode(text: string, maxLength: number = MAX_LENGTH): number[] {
    if (!(maxLength >= 2))
      throw new Error(`Tokenizer.encode: expected a maxLength of at least 2, got ${maxLength}`);
    const ids: number[] = [];
    for (const part of this.#splitAdded(text)) {
      if (typeof part === "number") ids.push(part);
      else for (const piece of splitPieces(part)) this.#encodePiece(piece, ids);
    }
    return [this.#start, ...ids.slice(0, maxLength - 2), this.#end];
  }

  /** Several texts at once, padded to the longest. The padding is attended to in training: see the encoder. */
  encodeBatch(texts: readonly string[], maxLength: number = MAX_LENGTH): TokenBatch {
    const rows = texts.map((text) => this.encode(text, maxLength));
    const length = Math.max(0, ...rows.map((row) => row.length));
    const ids = new Int32Array(rows.length * length).fill(this.#pad);
    rows.forEach((row, i) => {
      ids.set(row, i * length);
    });
    return { ids, shape: [rows.length, length] };
  }

  /** Text between added tokens as strings, the tokens themselves as ids. */
  #splitAdded(text: string): (string | number)[] {
    const parts: (string | number)[] = [];
    let at = 0;
    let rstrip = false;
    const pushText = (until: number, lstrip: boolean): void => {
      let between = text.slice(at, until);
      if (rstrip) between = between.replace(LEADING_SPACE, "");
      if (lstrip) between = between.slice(0, trimmedLength(between));
      if (between !== "") parts.push(between);
    };
    for (const match of text.matchAll(this.#addedPattern)) {
      const token = this.#added.get(match[0])!;
      pushText(match.index, token.lstrip);
      parts.push(token.id);
      at = match.index + match[0].length;
      rstrip = token.rstrip;
    }
    pushText(text.length, false);
    return parts;
  }

  /** Merges the adjacent pair of lowest rank, leftmost first, until none is left in the table. */
  #encodePiece(piece: string, ids: number[]): void {
    const symbols = toByteCharacters(piece);
    const rankAt = (i: number): number =>
      i + 1 < symbols.length ? (this.#ranks.get(`${symbols[i]} ${symbols[i + 1]}`) ?? Infinity) : Infinity;
    const ranks = symbols.map((_, i) => rankAt(i));
    for (;;) {
      let best = 0;
      for (let i = 1; i < ranks.length; i++) if (ranks[i] < ranks[best]) best = i;
      if (ranks[best] === Infinity) break;
      symbols.splice(best, 2, symbols[best] + symbols[best + 1]);
      ranks.splice(best + 1, 1);
      ranks[best] = rankAt(best);
      if (best > 0) ranks[best - 1] = rankAt(best - 1);
    }
    for (const symbol of symbols) ids.push(this.#vocab.get(symbol)!);
  }

  /** Every byte and every merge must have an id, so that encoding cannot fail later. */
  #checkClosed(): void {
    const products = [...this.#ranks.keys()].map((pair) => pair.replace(" ", ""));
    const missing = [...BYTE_CHARACTERS, ...products].find((token) => !this.#vocab.has(token));
    if (missing !== undefined) {
      throw new Error(
        `Tokenizer: expected every byte and merge in the vocabulary, found no ${JSON.stringify(missing)}`,
      );
    }
  }
}

const LEADING_SPACE = new RegExp(`^[${WHITESPACE}]+`);
const ONE_SPACE = new RegExp(`[${WHITESPACE}]`);

/** Length without the white space at the end. */
function trimmedLength(text: string): number {
  let length = text.length;
  while (length > 0 && ONE_SPACE.test(text[length - 1])) length--;
  return length;
}

const spellMerge = (merge: string | readonly [string, string]): string =>
  typeof merge === "string" ? merge : merge.join(" ");

const escapeRegExp = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

function checkJson(json: TokenizerJson): void {
  const { added_tokens: added, model } = json;
  if (!Array.isArray(added) || typeof model?.vocab !== "object" || !Array.isArray(model?.merges)) {
    throw new Error("Tokenizer: expected a tokenizer.json with added_tokens, model.vocab and model.merges");
  }
  const wordy = added.find((token) => token.single_word);
  if (wordy !== undefined)
    throw new Error(`Tokenizer: expected no single_word tokens, found ${wordy.content}`);
}
