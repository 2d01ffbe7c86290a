import { expect, test } from "vitest";
import { Module } from "../../../core/cpu/kernels/assembler.ts";
import { load } from "../../../core/cpu/kernels/loads.ts";
import { kernelText } from "../../../core/cpu/kernels/text.ts";
import { F32x4, I32 } from "../../../core/cpu/kernels/values.ts";
import { compiledKernels, grad, Random, tidy } from "../../../core/index.ts";

test("a kernel reads as the specification writes it", () => {
  const module = new Module(2);
  const f = module.run;
  const [at, end] = f.params;
  f.if(at.lt(end), () => f.store(at, load(F32x4, at, 16).mul(f.constant(0.5))));
  const i = f.local(I32);
  f.set(i, at.add(-200));
  const text = kernelText(module.bytes({ minimum: 1, maximum: 1, shared: false }));
  expect(text).toBe(`(local 1 x v128)
(local 1 x i32)
f32.const 0.5
f32x4.splat
local.set 2
local.get 0
local.get 1
i32.lt_u
if
  local.get 0
  local.get 0
  v128.load offset=16 align=4
  local.get 2
  f32x4.mul
  v128.store align=4
end
local.get 0
i32.const -200
i32.add
local.set 3`);
});

test("every kernel of a product, a softmax and their gradients can be read", () => {
  tidy(() => {
    const random = new Random(0);
    const [x, w] = [random.normals([20, 33]).tracked(), random.normals([33, 70]).tracked()];
    grad(x.matmul(w).gelu().softmax().square().mean(), [x, w]);
  });
  const listed = compiledKernels();
  expect(listed.length).toBeGreaterThan(5);
  for (const { bytes, text } of listed) expect(text.split("\n").length).toBeLessThan(bytes);
  expect(listed.find(({ name }) => name === "softmax")?.text).toContain("f32x4.relaxed_madd");
});
