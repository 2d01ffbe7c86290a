import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import {
  apply,
  compiledKernels,
  engineInfo,
  type KernelListing,
  Plan,
  Random,
  Scope,
  type Tensor,
} from "../../core/index.ts";
import { described } from "../../core/kernel-list.ts";
import { allOps } from "../../core/op.ts";
import { sampleInputs } from "../laws/ops.ts";

/** What a new process prints with `NINA_DEBUG` set to that. */
function run(level: string, ...args: string[]): { stdout: string; stderr: string } {
  const env = { ...process.env, NINA_DEBUG: level };
  return spawnSync(process.execPath, ["--import", "tsx", ...args], { encoding: "utf8", env });
}
const script = (text: string): string[] => ["--input-type=module", "--eval", text];

/** What is compiled while `body` runs. */
function compiledBy(body: () => void): KernelListing[] {
  const before = compiledKernels().length;
  body();
  return compiledKernels().slice(before);
}

it("NINA_DEBUG=1 prints each kernel once, whatever device and however many threads run it", () => {
  const { stdout, stderr } = run(
    "1",
    ...script(`
      import { compiledKernels, openDevice, Plan, setThreads, spinning, Tensor } from "./core/index.ts";
      setThreads(3);
      const x = Tensor.ones([500, 500]);
      for (let i = 0; i < 3; i++) spinning(() => x.softmax().softmax());
      new Plan((y) => y.exp().neg(), [x]).run(x);
      await Tensor.ones([3, 5]).to(await openDevice("gpu:webasm")).neg().read();
      console.log(compiledKernels().length);`),
  );
  const lines = stderr.trimEnd().split("\n");
  expect(lines).toHaveLength(Number(stdout));
  for (const line of lines) expect(line).toMatch(/^kernel on (cpu|gpu:webasm) for .*: .+, [1-9]\d* bytes$/);
  const calls = lines.map((line) => line.replace(/: [^:]*$/, ""));
  expect(calls.filter((call) => call.startsWith("kernel on cpu"))).toEqual([
    "kernel on cpu for softmax (500, 500)",
    "kernel on cpu for exp, neg (500, 500)",
  ]);
  expect(calls.at(-1)).toBe("kernel on gpu:webasm for neg (3, 5)");
});

it("NINA_DEBUG refuses what it does not know", () => {
  const negative = script(`import { Tensor } from "./core/index.ts"; Tensor.ones([3]).neg();`);
  expect(run("yes", ...negative).stderr).toContain("Error: NINA_DEBUG: expected 0, 1 or 2, got yes\n");
});

// Bytes depend on whether the engine multiplies and adds at once.
it.skipIf(!engineInfo().fma)("the page on ops shows what NINA_DEBUG=1 prints", () => {
  const shown = readFileSync("docs/ops.md", "utf8").match(/^ {4}kernel on .*$/gm) ?? [];
  expect(shown.length).toBeGreaterThan(1);
  const { stderr } = run("1", "examples/kernel.ts");
  for (const line of shown) expect(stderr.split("\n")).toContain(line.trim());
});

it("what a plan joins is listed as one call, with the formula of all of it and its code", () => {
  using _ = new Scope();
  const random = new Random(0);
  const [x, w, bias] = [[5, 9], [7, 9], [7]].map((shape) => random.normals(shape));
  const body = (y: Tensor, z: Tensor): Tensor[] => [
    y.linear(w, bias).sinh(),
    y.linear(w, bias).add(z),
    z.square().cosh().neg(),
  ];
  const listed = compiledBy(() => {
    using _plan = new Plan(body, [x, random.normals([5, 7])]);
  });
  expect(listed.map(({ call }) => call)).toEqual([
    "linear, sinh (5, 9) (7, 9) (7)",
    "linear, add (5, 9) (7, 9) (7) (5, 7)",
    "square, cosh, neg (5, 7)",
  ]);
  const [activated, added, rest] = listed;
  for (const product of [activated, added]) expect(product.formula).toContain("out[at++] = (v3 + x2[b1]);");
  expect(activated.formula).toContain("out[at++] = Math.sinh(x0[b0]);");
  expect(added.formula).toContain("out[at++] = (x0[b0] + x1[b0]);");
  expect(rest.formula).toMatch(/const v0 = x0\[b0\];[\s\S]*\(v0 \* v0\)/);
  expect(rest.text).toContain("f32x4.neg");
  const whole = described(rest, true).split("\n");
  expect(whole[0]).toBe(`kernel on cpu for ${rest.call}: ${rest.name}, ${rest.bytes} bytes`);
  expect(whole.slice(1, 3)).toEqual(["formula:", "  (out, ins, n, c, p) => {"]);
  expect(whole.slice(whole.indexOf("code:") + 1).join("\n")).toBe(rest.text.replace(/^/gm, "  "));
});

it("every op's kernels are listed with a formula that can be read", () => {
  using _ = new Scope();
  const listed = compiledBy(() => {
    for (const op of allOps)
      for (const sample of op.samples) apply(op, sampleInputs(sample, "float32", 1), sample.attrs);
  });
  expect(listed.length).toBeGreaterThan(50);
  for (const { formula } of listed) expect(formula).toContain("out[at++] = ");
});
