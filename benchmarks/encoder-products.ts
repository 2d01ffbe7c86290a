/**
 * The products that take most of an encoder's time, one by one: our kernels for frozen weights, and other libraries'.
 */
import { layoutForFrozen, packWeights } from "../core/cpu/product/choose.ts";
import { productWasm } from "../core/cpu/product/product.ts";
import { Tensor } from "../core/index.ts";
import type { WeightFormat } from "../core/weight-format.ts";
import { type Contender, interleaved, type Result } from "./measure.ts";
import type { Peer } from "./peers/peer.ts";
import { fmaLimit } from "./probe.ts";

const FORMATS: readonly WeightFormat[] = ["float32", "bfloat16", "int8"];
/** Products that are looked at: those with the most operations. */
const MOST = 8;
/** Bytes of weights that the calls of a contender go through in turns: more than caches hold, as in a model. */
const FAR = 1e8;

/** Numbers between −scale and scale. */
const numbers = (count: number, scale: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => scale * Math.sin(i * 1.7 + (i % 13)));

const operations = (product: string): number =>
  product.split(" × ").reduce((all, length) => all * Number(length), 2);

/** Times products given as "M × K × N" with how often each is computed, on one thread, contenders in turns. */
export async function compareProducts(
  name: string,
  counts: ReadonlyMap<string, number>,
  peers: readonly Peer[],
  rounds: number,
  json: boolean,
): Promise<void> {
  const work = (product: string): number => operations(product) * (counts.get(product) as number);
  const main = [...counts.keys()].toSorted((a, b) => work(b) - work(a)).slice(0, MOST);
  for (const product of main) {
    const results = await compare(`${name}: ${counts.get(product)} of ${product}`, product, peers, rounds);
    if (!json) console.log(`\n${results[0].case}`);
    for (const result of results) {
      // Each has one thread, and the processor's time is what other programs disturb least.
      const rate = operations(product) / result.cpu_ms / 1e6;
      if (json) console.log(JSON.stringify({ ...result, rate }));
      else {
        const { who, dtype, cpu_ms } = result;
        const cells = [`${cpu_ms.toFixed(2)} ms`, `${rate.toFixed(1)} GFLOP/s`];
        console.log(who.padEnd(18) + dtype.padEnd(10) + cells.map((cell) => cell.padStart(16)).join(""));
      }
    }
  }
}

async function compare(
  name: string,
  product: string,
  peers: readonly Peer[],
  rounds: number,
): Promise<Result[]> {
  const [M, K, N] = product.split(" × ").map(Number);
  const [x, weight] = [numbers(M * K, 1), numbers(K * N, 0.05)];
  const [a, b, out] = [Tensor.from(x, [M, K]), Tensor.from(weight, [K, N]), Tensor.empty([M, N])];
  const copies = Math.ceil(FAR / (4 * K * N));
  const sealed = FORMATS.map((format) =>
    Array.from({ length: copies }, () => packWeights(b, K, N, false, layoutForFrozen(format))),
  );
  /** Each call takes the next of several. */
  const inTurn = (runs: readonly (() => unknown)[]): (() => Promise<void>) => {
    let next = 0;
    return async () => void (await runs[next++ % runs.length]());
  };
  const contenders: Contender[] = [
    { who: "limit", threads: 1, dtype: "float32", run: fmaLimit(operations(product)) },
    ...sealed.map((all, i): Contender => {
      const runs = all.map((weights) => productWasm({ out, a, b: weights, M, N, K }) as () => void);
      return { who: "ours", threads: 1, dtype: FORMATS[i], run: inTurn(runs) };
    }),
  ];
  for (const peer of peers) {
    const runs = [];
    for (let i = 0; i < copies; i++) runs.push(await peer.prepare({ kind: "matmul", M, K, N, x, weight }));
    contenders.push({ who: peer.name, threads: peer.threads, dtype: "float32", run: inTurn(runs) });
  }
  const results = await interleaved("encoder products", name, contenders, { rounds: 5 * rounds, slice: 1 });
  for (const each of sealed.flat()) each.dispose();
  for (const each of [a, b, out]) each.dispose();
  return results;
}
