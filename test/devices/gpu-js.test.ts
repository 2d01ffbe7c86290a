import { expect, it } from "vitest";
import type { KernelText } from "../../core/gpu/gpu.ts";
import { compiledKernels } from "../../core/index.ts";
import type { RemoteGpu } from "../browser/remote.ts";
import { describeModes, openMode } from "./modes.ts";

const kernel = (name: string, source: string, size: number): KernelText => ({
  name,
  source,
  functions: [],
  arrays: [size],
  size,
});

const DOUBLE = kernel("double", "function (a) { return a[this.thread.x] * 2; }", 3);

describeModes("GPU.js", (gpu, mode) => {
  it("keeps results of one kernel apart, and frees them", async () => {
    const before = gpu().usage();
    gpu().upload(0, Float32Array.of(1, 2, 3));
    gpu().launch(DOUBLE, 1, [0], []);
    gpu().launch(DOUBLE, 2, [1], []);
    gpu().launch(DOUBLE, 3, [2], []);
    for (const slot of [0, 1]) gpu().free(slot);
    expect([...(await gpu().read(2))]).toEqual([4, 8, 12]);
    expect([...(await gpu().read(3))]).toEqual([8, 16, 24]);
    expect(gpu().usage()).toMatchObject({ slots: before.slots + 2, bytes: before.bytes + 24 });
    gpu().free(2);
    gpu().free(3);
    gpu().upload(4, Float32Array.of(1, 2, 3));
    expect([...(await gpu().read(4))]).toEqual([1, 2, 3]);
    gpu().free(4);
  });

  it("compiles equal texts once", async () => {
    const twin = { ...DOUBLE, name: "twin" };
    gpu().upload(0, Float32Array.of(1, 2, 3));
    gpu().launch(DOUBLE, 1, [0], []);
    await gpu().read(1);
    const { kernels } = gpu().usage();
    gpu().launch(twin, 2, [0], []);
    await gpu().read(2);
    expect(gpu().usage().kernels).toBe(kernels);
    for (const slot of [0, 1, 2]) gpu().free(slot);
  });

  it("lists what it compiled, with what the driver is given", async () => {
    const thrice = kernel("thrice", "function (a) { return a[this.thread.x] * 3; }", 3);
    gpu().upload(0, Float32Array.of(1, 2, 3));
    gpu().launch(thrice, 1, [0], []);
    await gpu().read(1);
    const listed = mode === "webasm" ? compiledKernels().at(-1) : await (gpu() as RemoteGpu).lastKernel();
    expect(listed).toMatchObject({ device: `gpu:${mode}`, call: "thrice", formula: null });
    const { text, bytes } = listed!;
    expect(bytes).toBe(text.length);
    expect(text.startsWith(thrice.source)).toBe(true);
    const driver = { webgl2: /#version 300 es/, webgpu: /@compute/, webasm: null, headlessgl: null }[mode];
    if (driver) expect(text).toMatch(driver);
    for (const slot of [0, 1]) gpu().free(slot);
  });

  it("takes numbers that change from call to call, whole or not", async () => {
    const scaled = kernel("scaled", "function (a, p) { return a[this.thread.x] * p; }", 3);
    gpu().upload(0, Float32Array.of(1, 2, 3));
    gpu().launch(scaled, 1, [0], [2]);
    gpu().launch(scaled, 2, [0], [0.5]);
    expect([...(await gpu().read(1))]).toEqual([2, 4, 6]);
    expect([...(await gpu().read(2))]).toEqual([0.5, 1, 1.5]);
    for (const slot of [0, 1, 2]) gpu().free(slot);
  });

  it("runs loops of many turns to their end", async () => {
    const turns = 70_000;
    const source = `function (a) { let s = 0; for (let k = 0; k < ${turns}; k++) { s += a[0]; } return s; }`;
    gpu().upload(0, Float32Array.of(1));
    gpu().launch(kernel("count", source, 1), 1, [0], []);
    expect([...(await gpu().read(1))]).toEqual([turns]);
    for (const slot of [0, 1]) gpu().free(slot);
  });

  it("names the kernel that does not compile, and computes nothing afterwards that needs it", async () => {
    const own = await openMode(mode);
    const broken = kernel("broken", "function (a) { return a[this.thread.x] + nowhere; }", 3);
    const use = async () => {
      own.upload(0, Float32Array.of(1, 2, 3));
      own.launch(broken, 1, [0], []);
      await own.read(1);
    };
    await expect(use()).rejects.toThrow(`gpu:${mode}: kernel broken does not compile`);
    await expect(async () => own.read(1)).rejects.toThrow(`gpu:${mode}`);
    await own.close();
  });

  if (mode !== "webgl2") return;

  it("tells that the context was lost, in place of zeros", async () => {
    const own = (await openMode(mode)) as RemoteGpu;
    own.upload(0, Float32Array.of(1, 2, 3));
    own.launch(DOUBLE, 1, [0], []);
    await own.read(1);
    await own.loseContext();
    await expect(own.read(1)).rejects.toThrow(
      "the context was lost, and with it the result of kernel double",
    );
    await own.close();
  });
});
