import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode } from "fast-png";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { loadCheckpoint } from "../vla/checkpoint.ts";
import { writeSmallFile } from "./vla/data/small-files.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nina-ts-examples-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const { argv } = process;
afterEach(() => {
  process.argv = argv;
  vi.restoreAllMocks();
});

/** Runs an example with arguments, in this process: all of them share what loading core takes. Gives what it prints. */
async function run(name: string, ...args: string[]): Promise<string> {
  const lines: string[] = [];
  vi.spyOn(console, "log").mockImplementation((...words) => {
    lines.push(words.join(" "));
  });
  process.argv = [argv[0], name, ...args];
  await import(`../examples/${name}.ts`);
  return lines.join("\n");
}

/** The numbers in a text, in order. */
const numbersIn = (text: string): number[] =>
  [...text.matchAll(/-?\d+(?:\.\d+)?(?:e[-+]?\d+)?/g)].map(([number]) => Number(number));

describe("examples", () => {
  test("gradients: by hand, by machine and as a slope they agree", async () => {
    const [first, second] = (await run("gradients")).split("\n");
    for (const error of numbersIn(first)) expect(error).toBeLessThan(1e-12);
    const [slope, gradient] = numbersIn(second);
    expect(slope).toBeCloseTo(gradient, 6);
  });

  test("spirals: the classifier learns", async () => {
    const said = await run("spirals", "120");
    const [share] = numbersIn(/right of .*/.exec(said)![0]);
    expect(share).toBeGreaterThan(80); // a third is chance; 120 steps reach 96
  });

  test("two moons: every flow does better than a normal distribution, and is drawn", async () => {
    const picture = join(folder, "moons.png");
    const said = await run("two-moons", "40", picture);
    const reached = [...said.matchAll(/points (\S+) nats/g)].map(([, nats]) => Number(nats));
    expect(reached.length).toBe(3);
    for (const nats of reached) expect(nats).toBeGreaterThan(-1.9); // the best normal distribution has -1.94
    const { width, height, data } = decode(readFileSync(picture));
    expect([width, height]).toEqual([639, 160]);
    expect(new Set(data).size).toBeGreaterThan(100); // shades, not a blank
  });

  test("a conditional flow knows the moons apart, and samples the one it is told", async () => {
    const said = await run("conditional-flow", "60");
    const [right, wrong] = numbersIn(said.split("\n")[0]);
    expect(right - wrong).toBeGreaterThan(3);
    const [upper, lower] = said
      .split("\n")
      .slice(1)
      .map((line) => numbersIn(line)[2]);
    expect(upper).toBeGreaterThan(0.2);
    expect(lower).toBeLessThan(-0.2);
  });

  test("a bijector of one's own keeps the laws, one with a slip does not", async () => {
    const said = await run("own-bijector");
    expect(said).toContain("SinhArcsinh breaks 0 laws");
    expect(said).toContain("the log-determinant is that of the Jacobian");
    const [low, middle, high] = numbersIn(/: (.*)$/.exec(said)![1]);
    expect(high - middle).toBeGreaterThan(2 * (middle - low)); // it leans
  });

  test("a kernel by hand gives the bits of the one from the formula", async () => {
    const said = await run("kernel");
    expect(said).toContain("out[at++] = (v0 / (Math.abs(v0) + (1)))");
    expect(said).toMatch(/bytes of SIMD code for softsign \(1000\):[\s\S]*f32x4\.abs[\s\S]*f32x4\.div/);
    expect(said).toContain("by hand, the same bits as core's: true");
    expect(numbersIn(/differ by .*/.exec(said)![0])[0]).toBeLessThan(2e-7); // two roundings to float32
  });

  test("fine-tuning brings the held-out loss down and leaves a checkpoint", async () => {
    const demos = join(folder, "task_demo.hdf5");
    await writeSmallFile(demos, { lengths: [14], size: 64, instruction: "push the drawer shut" });
    const said = await run("fine-tune", demos, join(folder, "tuned"), "12");
    const [, before] = numbersIn(said.split("\n")[0]);
    const [, after] = numbersIn(said.split("\n")[1]);
    expect(after).toBeLessThan(before);
    const tuned = loadCheckpoint(join(folder, "tuned"));
    expect(tuned.config.untrained).toBe(false);
    tuned.florence.dispose();
    tuned.decoder.dispose();
  });

  test("each of them is run here, but what they share, and the policy that the commands' tests play", () => {
    const source = readFileSync(new URL(import.meta.url), "utf8");
    const others = ["moons.ts", "my-policy.ts"];
    const names = readdirSync("examples").filter((name) => !others.includes(name));
    expect(names.length).toBeGreaterThan(5);
    for (const name of names) expect(source).toContain(`run("${name.replace(".ts", "")}"`);
  });
});
