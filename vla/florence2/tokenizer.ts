import { FormatError, printable } from "../../core/index.ts";
import { readText } from "../platform/node.ts";
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
export const MAX_LENGTH = 77;

/** Bytes of a `tokenizer.json`; BART's has 1.4 million. */
export const MAX_FILE = 2 ** 24;

/** The token whose embedding FLOWER puts between image and text; never part of a text. */
export const FLOW = "<Flow>";

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
 * the next free ids, in this order. A file that already has `<Flow>` is complete and taken as it is. Throws one error
 * that lists what is wrong.
 */
export function loadTokenizer(path: string): Tokenizer {
  let json: TokenizerJson | null;
  try {
    json = JSON.parse(readText(path, MAX_FILE));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new FormatError(path, "JSON", cause.message);
    throw cause;
  }
  const added: readonly (AddedToken | null)[] = Array.isArray(json?.added_tokens) ? json.added_tokens : [];
  const complete = added.some((token) => token?.content === FLOW);
  try {
    return new Tokenizer(json as TokenizerJson, complete ? [] : [...florenceTokens(1000), FLOW]);
  } catch (cause) {
    throw new Error(`${path}: ${(cause as Error).message}`, { cause });
  }
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
  /** The id of `<pad>`. */
  readonly pad: number;
  /** Number of ids, which have no holes: the rows an embedding table needs. */
  readonly size: number;

  /**
   * `extra` tokens that the file lacks get the next free ids, in their order. Throws for a file that is no tokenizer.
   */
  constructor(json: TokenizerJson, extra: readonly string[] = []) {
    checkJson(json);
    this.#vocab = new Map(Object.entries(json.model.vocab));
    this.#ranks = new Map(json.model.merges.map((merge, rank) => [spellMerge(merge), rank]));
    this.#added = new Map(json.added_tokens.map((token) => [token.content, token]));

    let next = new Set([...this.#vocab.values(), ...json.added_tokens.map((token) => token.id)]).size;
    for (const content of extra) {
      if (!this.#added.has(content)) this.#added.set(content, { id: next++, lstrip: false, rstrip: false });
    }
    this.size = next;
    // Longest first: at one position the longest token wins.
    const contents = [...this.#added.keys()].sort((a, b) => b.length - a.length);
    this.#addedPattern = new RegExp(contents.map(escapeRegExp).join("|") || "(?!)", "g");
    [this.#start, this.#end, this.pad] = FRAME.map((token) => this.idOf(token) as number);
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
    const length = rows.reduce((most, row) => Math.max(most, row.length), 0);
    const ids = new Int32Array(rows.length * length).fill(this.pad);
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
}

/** What every prompt begins and ends with, and what batches are padded with. */
const FRAME = ["<s>", "</s>", "<pad>"];

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

/** Mistakes that an error lists; a file of another kind has thousands. */
const MAX_LISTED = 8;

/**
 * Throws one error that lists what keeps a parsed file from being a tokenizer. After it encoding cannot fail: every
 * byte, and both parts and the result of every merge, have an id; ids are 0, 1, 2, … without holes, one per token.
 */
function checkJson(json: unknown): asserts json is TokenizerJson {
  const { added_tokens: added, model } = (isObject(json) ? json : {}) as Partial<TokenizerJson>;
  if (!Array.isArray(added) || !isObject(model) || !isObject(model.vocab) || !Array.isArray(model.merges)) {
    throw new Error("Tokenizer: expected a tokenizer.json with added_tokens, model.vocab and model.merges");
  }
  const wrong: string[] = [];
  const say = (text: string): void => {
    wrong.push(text);
  };
  checkAdded(added, say);
  if (wrong.length === 0) checkIds(added, model.vocab, say);
  checkMerges(model.merges, model.vocab, say);
  if (wrong.length === 0) return;
  const more = wrong.length > MAX_LISTED ? `; and ${wrong.length - MAX_LISTED} more` : "";
  throw new Error(`Tokenizer: ${wrong.slice(0, MAX_LISTED).join("; ")}${more}`);
}

type Say = (mistake: string) => void;

function checkAdded(added: readonly unknown[], say: Say): void {
  for (const [i, token] of added.entries()) {
    const { content, ...flags } = (isObject(token) ? token : {}) as Partial<AddedToken>;
    if (typeof content !== "string" || content === "")
      say(`expected added_tokens[${i}] with its content, found ${show(token)}`);
    else if (flags.single_word) say(`expected no single_word tokens, found ${show(content)}`);
    for (const flag of ["lstrip", "rstrip"] as const) {
      if (typeof (flags[flag] ?? false) !== "boolean")
        say(`expected ${flag} of ${show(content)} true or false, found ${show(flags[flag])}`);
    }
  }
}

function checkIds(added: readonly AddedToken[], vocab: Readonly<Record<string, number>>, say: Say): void {
  const ids = new Map<string, number>();
  const tokens = new Map<number, string>();
  for (const [token, id] of [
    ...Object.entries(vocab),
    ...added.map(({ content, id }) => [content, id] as const),
  ]) {
    const [known, owner] = [ids.get(token), tokens.get(id)];
    if (!Number.isInteger(id) || id < 0) say(`expected an id for ${show(token)}, found ${show(id)}`);
    else if (known !== undefined && known !== id)
      say(`expected one id for ${show(token)}, found ${known} and ${id}`);
    else if (owner !== undefined && owner !== token)
      say(`expected one token of id ${id}, found ${show(owner)} and ${show(token)}`);
    else {
      ids.set(token, id);
      tokens.set(id, token);
    }
  }
  let hole = 0;
  while (tokens.has(hole)) hole++;
  if (hole < tokens.size) say(`expected ids without holes, found no ${hole}`);
  for (const token of FRAME) if (!ids.has(token)) say(`expected ${token} in the vocabulary, found none`);
  const missing = BYTE_CHARACTERS.filter((byte) => !Object.hasOwn(vocab, byte));
  if (missing.length > 0) {
    say(`expected every byte in the vocabulary, found no ${show(missing[0])} (${missing.length} missing)`);
  }
}

function checkMerges(merges: readonly unknown[], vocab: Readonly<Record<string, number>>, say: Say): void {
  for (const [rank, merge] of merges.entries()) {
    const parts: unknown = typeof merge === "string" ? merge.split(" ") : merge;
    if (!Array.isArray(parts) || parts.length !== 2 || !parts.every(isPart)) {
      say(`expected two parts of model.merges[${rank}], found ${show(merge)}`);
      continue;
    }
    const unknown = [...parts, parts.join("")].find((part) => !Object.hasOwn(vocab, part));
    if (unknown !== undefined)
      say(`expected parts and result of merge ${rank} in the vocabulary, found no ${show(unknown)}`);
  }
}

const isPart = (part: unknown): part is string =>
  typeof part === "string" && part !== "" && !part.includes(" ");

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A value of the file in an error. */
const show = (value: unknown): string =>
  typeof value === "object" && value !== null
    ? "an object"
    : printable(JSON.stringify(value) ?? "nothing", 60);
