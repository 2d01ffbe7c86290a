/** Timing several contenders fairly: in turns, so that each meets the same disturbances. */
import { cpus, loadavg } from "node:os";
import { UsageError } from "../cli/index.ts";

export interface Contender {
  readonly who: string;
  readonly threads: number;
  readonly dtype: string;
  run(): void | Promise<void>;
  /** Runs the calls of one slice, for contenders that want something around them. */
  around?(calls: () => void): void;
}

/** One line of `--json` output. Times are for one call, in milliseconds. */
export interface Result {
  readonly bench: string;
  readonly case: string;
  readonly who: string;
  readonly threads: number;
  readonly dtype: string;
  readonly min_ms: number;
  readonly median_ms: number;
  /** Median processor time per call: less disturbed than wall time when other programs run. */
  readonly cpu_ms: number;
  readonly [extra: string]: string | number;
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const median = (xs: readonly number[]): number => xs.toSorted((a, b) => a - b)[xs.length >> 1];

/** Times every contender in `rounds` rounds; in each, a contender runs for about `slice` milliseconds. */
export async function interleaved(
  bench: string,
  name: string,
  contenders: readonly Contender[],
  { rounds = 9, slice = 15 }: { rounds?: number; slice?: number } = {},
): Promise<Result[]> {
  const states = [];
  for (const contender of contenders) {
    // Warm up: engines compile after some calls. Then see how many calls fill a slice.
    const start = performance.now();
    let calls = 0;
    while (calls < 3 || performance.now() - start < 40) {
      await contender.run();
      calls++;
    }
    const once = performance.now();
    await contender.run();
    const count = Math.max(1, Math.ceil(slice / Math.max(1e-3, performance.now() - once)));
    states.push({ contender, count, wall: [] as number[], cpu: [] as number[] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { contender, count, wall, cpu } of states) {
      const [wallStart, cpuStart] = [performance.now(), cpuMs()];
      if (contender.around) {
        contender.around(() => {
          for (let i = 0; i < count; i++) void contender.run();
        });
      } else {
        for (let i = 0; i < count; i++) {
          const pending = contender.run();
          if (pending) await pending;
        }
      }
      wall.push((performance.now() - wallStart) / count);
      cpu.push((cpuMs() - cpuStart) / count);
    }
  }
  return states.map(({ contender: { who, threads, dtype }, wall, cpu }) => ({
    bench,
    case: name,
    who,
    threads,
    dtype,
    min_ms: Math.min(...wall),
    median_ms: median(wall),
    cpu_ms: median(cpu),
  }));
}

/** A flag's list of whole numbers from 1, separated by commas. */
export function wholeNumbers(flag: string, list: string): number[] {
  return list.split(",").map((word) => {
    if (!/^[1-9]\d{0,8}$/.test(word.trim()))
      throw new UsageError(`--${flag}: expected whole numbers from 1, got ${JSON.stringify(list)}`);
    return Number(word);
  });
}

/** The machine and how busy it is, in words. */
export function machine(): string {
  const load = loadavg().map((x) => x.toFixed(1));
  return `${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.versions.node} (V8 ${process.versions.v8}), load ${load.join(" ")}`;
}
