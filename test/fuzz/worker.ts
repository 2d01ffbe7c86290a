/**
 * The process in which a reader runs: started by `session.ts`, which watches it and ends it when it does not answer.
 */
import { mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { judge, type Limits, type Verdict } from "./judge.ts";
import { nextInput } from "./mutate.ts";
import type { Input, Reader } from "./reader.ts";

/**
 * To a worker: mutate and judge from input number `index` on, until a time or the first new failure; or judge one
 * input.
 */
export type Order =
  | {
      readonly kind: "fuzz";
      readonly seed: number;
      readonly index: number;
      /** Milliseconds since 1970. */
      readonly until: number;
      readonly known: Known;
    }
  | { readonly kind: "judge"; readonly input: Input };

/** Ways that inputs took so far, and inputs that were the first to take one: further seeds. */
export interface Known {
  readonly shapes: readonly string[];
  readonly inputs: readonly Input[];
}

/** From a worker. A beat comes before an input, at least ten times a second while all is well. */
export type Report =
  | { readonly kind: "ready" }
  | { readonly kind: "beat"; readonly counts: Counts }
  | { readonly kind: "new"; readonly shape: string; readonly input: Input | null }
  | ({ readonly kind: "failed" } & Failure)
  | { readonly kind: "verdict"; readonly verdict: Verdict }
  | { readonly kind: "done"; readonly counts: Counts }
  /** The fuzzer itself is at fault. */
  | { readonly kind: "unable"; readonly text: string };

/** An input that failed in a new way, and the counts with it. */
export interface Failure {
  readonly input: Input;
  readonly verdict: Verdict;
  readonly counts: Counts;
}

/** Since the order was given. */
export interface Counts {
  /** Number of the next input. */
  readonly index: number;
  readonly accepted: number;
  readonly refused: number;
  readonly slowest: number;
  /** Largest growth of the process by one input, bytes. */
  readonly grown: number;
}

const BEAT = 100;
/** Overwritten in place, so all of one length. */
const CURRENT_BYTES = 500;
/** Larger inputs are not kept as seeds: they make all that follow slow. */
const MOST_SEED_BYTES = 2 ** 16;
const MOST_SEEDS = 1000;

/** Where this process says what it is reading: should it die, whoever watches it finds the input. */
export interface Current {
  readonly file: string;
  readonly counts: Counts;
}

const [module, folder, current, limitsText] = process.argv.slice(2);
const limits: Limits = JSON.parse(limitsText);
const currentFile = openSync(current, "w");
const send = (report: Report): void => void process.send?.(report);

const { seeds, mutations, prepare } = ((await import(module)) as { default: Reader }).default;
const read = await prepare(folder);
let lying: string | null = null;
let counts: Counts = { index: 0, accepted: 0, refused: 0, slowest: 0, grown: 0 };

for (const seed of [...seeds].reverse()) put(seed); // the first of each name stays
process.on("message", (order: Order) => {
  // Whoever asks for one verdict may read it; to tell inputs apart, compiled positions do, and cost a tenth.
  process.setSourceMapsEnabled(order.kind === "judge");
  if (order.kind === "fuzz") fuzz(order).catch((error) => send({ kind: "unable", text: error.stack }));
  else void tryInput(order.input).then((verdict) => send({ kind: "verdict", verdict }));
});
process.on("disconnect", () => process.exit());
send({ kind: "ready" });

function put({ file, bytes }: Input): void {
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
}

/** Lays the input in its place, everything else being sound, and reads. */
function tryInput(input: Input): Promise<Verdict> {
  if (lying !== input.file) {
    const sound = seeds.find(({ file }) => file === lying);
    if (sound) put(sound);
    lying = input.file;
  }
  const text = JSON.stringify({ file: input.file, counts } satisfies Current);
  writeSync(currentFile, text.padEnd(CURRENT_BYTES), 0);
  put(input);
  return judge(read, folder, input.file, limits);
}

async function fuzz({ seed, index, until, known }: Order & { kind: "fuzz" }): Promise<void> {
  const shapes = new Set(known.shapes);
  const pool = [...seeds, ...known.inputs];
  counts = { index, accepted: 0, refused: 0, slowest: 0, grown: 0 };
  let beat = 0;
  for (; ; index++) {
    const now = Date.now();
    counts = { ...counts, index };
    if (now >= until) break;
    if (now - beat >= BEAT) {
      send({ kind: "beat", counts });
      beat = now;
      await new Promise(setImmediate); // lets the engine tidy up
    }
    const input = nextInput(pool, mutations, seed, index);
    const verdict = await tryInput(input);
    counts = {
      index: index + 1,
      accepted: counts.accepted + (verdict.outcome === "accepted" ? 1 : 0),
      refused: counts.refused + (verdict.outcome === "refused" ? 1 : 0),
      slowest: Math.max(counts.slowest, verdict.milliseconds),
      grown: Math.max(counts.grown, verdict.grown),
    };
    const { shape, outcome } = verdict;
    if (shapes.has(shape)) continue;
    if (outcome === "failed") {
      // Whether it was this input alone, or what earlier ones left behind, another process finds out.
      send({ kind: "failed", input, verdict, counts });
      return;
    }
    shapes.add(shape);
    const keep = input.bytes.length <= MOST_SEED_BYTES && pool.length < MOST_SEEDS;
    if (keep) pool.push(input);
    send({ kind: "new", shape, input: keep ? input : null });
  }
  send({ kind: "done", counts });
}
