import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { Mutation } from "./mutate.ts";

/** One file as it is given to a reader: its name in the reader's folder, and what it holds. */
export interface Input {
  /** Path in the folder, with `/`. */
  readonly file: string;
  readonly bytes: Uint8Array;
}

/**
 * Reads the file at `path` and all that comes with it. Returns a few words on what it took in, null where what is wrong
 * counts as absent.
 */
export type Read = (path: string) => string | null | Promise<string | null>;

/** What the fuzzer must know of one reader; the module `readers/NAME.ts` exports it as its default. */
export interface Reader {
  /**
   * Sound files, made by us: mutations start from them. The first of each name stands in for it when another is tried.
   */
  readonly seeds: readonly Input[];
  /** Changes that keep the format's outer form, so that they reach what lies behind checksums and lengths. */
  readonly mutations: readonly Mutation[];
  /** Puts into an empty folder what belongs beside the inputs, and starts what the reader needs. */
  prepare(folder: string): Read | Promise<Read>;
}

/** An input was accepted, and what came of it cannot be right. */
export class BrokenLaw extends Error {
  override readonly name: string = "BrokenLaw";
}

/** Every reader with a module in `readers/`. */
export const READERS: readonly string[] = [
  "safetensors",
  "torch",
  "init-states",
  "bddl",
  "mjcf",
  "png",
  "tokenizer",
  "checkpoint",
  "flow-names",
  "replay",
  "cache",
  "tile-cache",
  "model-cache",
  "openpi",
  "client-frames",
  "server-frames",
  "hdf5",
  "published",
  "suite-facts",
  "run-folder",
  "feature-cache",
  "train-state",
];

/** Address of a reader's module. */
export const readerModule = (name: string): string => new URL(`readers/${name}.ts`, import.meta.url).href;

/** A saved input, named `CASE.FILE` after the file it stands for. */
export async function caseAt(reader: string, path: string): Promise<Input> {
  const { seeds } = ((await import(readerModule(reader))) as { default: Reader }).default;
  const found = seeds.find(({ file }) => basename(path).endsWith(`.${basename(file)}`));
  if (!found) {
    const known = [...new Set(seeds.map(({ file }) => basename(file)))];
    throw new Error(`${path}: expected a name that ends in ${known.join(" or ")}`);
  }
  return { file: found.file, bytes: readFileSync(path) };
}
