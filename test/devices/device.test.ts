import { describe, expect, it } from "vitest";
import {
  concat,
  DEVICE_NAMES,
  grad,
  onDevice,
  openDevice,
  Plan,
  plainKernels,
  Random,
  Tensor,
  tidy,
} from "../../core/index.ts";
import { forInference, Linear } from "../../nn/index.ts";
import { describeDevices } from "./modes.ts";

/** The numbers of tensors on any device; frees them. */
async function read(...tensors: readonly Tensor[]): Promise<number[][]> {
  const numbers = await Promise.all(tensors.map((x) => x.read()));
  for (const x of tensors) x.dispose();
  return numbers.map((list) => [...list]);
}

describeDevices("device", (device, mode) => {
  const from = (values: readonly number[], shape?: readonly number[]): Tensor =>
    onDevice(device(), () => Tensor.from(values, shape));

  it("makes, fills, copies and overwrites tensors", async () => {
    const x = from([1, 2, 3]);
    const copy = x.copy();
    x.write([4, 5, 6]);
    const [ones, empty] = onDevice(device(), () => [Tensor.ones([2, 2]), Tensor.empty([0, 3])]);
    expect(await read(x, copy, ones, empty)).toEqual([[4, 5, 6], [1, 2, 3], [1, 1, 1, 1], []]);
  });

  it("reads what was asked for before, also when it is freed at once", async () => {
    const x = from([1, 2, 3]);
    const y = x.scale(2);
    const reading = y.read();
    for (const each of [x, y]) each.dispose();
    expect([...(await reading)]).toEqual([2, 4, 6]);
  });

  it("keeps whole numbers exactly, computes with them, and checks row numbers", async () => {
    const big = 2 ** 29 + 1; // float32 has no such number
    const ids = onDevice(device(), () => Tensor.from([2, 0, big], [3], "int32"));
    const table = from([1, 2, 3, 4, 5, 6], [3, 2]);
    expect(() => table.gatherRows(ids)).toThrow(`gatherRows: row ${big} does not exist in a table of 3 rows`);
    const some = ids.slice(0, 0, 2);
    expect(
      await read(
        tidy(() => ids.add(ids)),
        table.gatherRows(some),
        ids,
      ),
    ).toEqual([
      [4, 0, 2 * big],
      [5, 6, 1, 2],
      [2, 0, big],
    ]);
    for (const x of [some, table]) x.dispose();
  });

  it("finds places of numbers, reads by them, and takes them for whole numbers, in plans too", async () => {
    const x = from([3, 1, 2, 0, 5, 4], [2, 3]);
    const best = tidy(() => x.argmax(1));
    const results = tidy(() => {
      const { values, indices } = x.sort(1, true);
      return [values, indices, x.scale(1.4).to("int32"), best.add(best), x.gatherRows(best.sub(best))];
    });
    const plan = new Plan((ids) => [ids.mul(ids), x.gatherRows(ids)], [tidy(() => best.mul(0))]);
    const replayed = plan.run(best.slice(0, 1, 2).reshape([1]).broadcastTo([2]));
    const given = onDevice(device(), () => Tensor.from([1, 0], [2], "int32"));
    expect(await read(...replayed)).toEqual([
      [1, 1],
      [0, 5, 4, 0, 5, 4],
    ]);
    expect(await read(...plan.run(given))).toEqual([
      [1, 0],
      [0, 5, 4, 3, 1, 2],
    ]);
    expect(await read(...results, best)).toEqual([
      [3, 2, 1, 5, 4, 0],
      [0, 2, 1, 1, 2, 0],
      [4, 1, 2, 0, 7, 5],
      [0, 2],
      [3, 1, 2, 3, 1, 2],
      [0, 1],
    ]);
    plan[Symbol.dispose]();
    for (const each of [x, given]) each.dispose();
  });

  it("takes modules that were built for inference, with what their weights were rounded to", async () => {
    const whole = new Linear(5, 3).init(new Random(1));
    const sealed = forInference("int8", () => new Linear(5, 3)).load(whole.stateDict());
    const x = Tensor.from([1, 2, 3, 4, 5], [1, 5]);
    const y = tidy(() => plainKernels(() => sealed.forward(x)));
    sealed.to(device());
    const moved = x.to(device());
    const [there, here] = await read(
      tidy(() => sealed.forward(moved)),
      y,
    );
    there.forEach((value, i) => {
      expect(Math.abs(value - here[i])).toBeLessThan(1e-5);
    });
    for (const each of [whole, sealed, x, moved]) each.dispose();
  });

  it("serves empty tensors", async () => {
    const empty = onDevice(device(), () => Tensor.empty([0, 3]));
    expect(await read(empty.sum([0]), empty.add(empty), concat([empty, empty], 0))).toEqual([
      [0, 0, 0],
      [],
      [],
    ]);
    empty.dispose();
  });

  it("refuses by name what it cannot hold or compute", () => {
    const name = `gpu:${mode}`;
    expect(() => onDevice(device(), () => Tensor.zeros([2], "float64"))).toThrow(
      `${name}: expected float32 or int32, got float64`,
    );
    tidy(() => {
      const row = onDevice(device(), () => Tensor.ones([1, 1]));
      expect(() => row.broadcastTo([4097, 4096])).toThrow("broadcastTo: expected at most 16777216 numbers");
      expect(() => row.data).toThrow(`got a tensor on ${name}: await read()`);
      expect(() => row.add(Tensor.ones([1, 1]))).toThrow("add: expected inputs on one device");
    });
  });

  it("replays plans: results are those of the eager pass, and a result may be given back", async () => {
    const w = from([1, 2, 3, 4], [2, 2]);
    const scale = from([10]);
    const body = (x: Tensor): Tensor => x.matmul(w).mul(scale).tanh().add(x);
    const x = from([0.1, 0.2], [1, 2]);
    const plan = new Plan(body, [x], [scale]);
    const eager = [tidy(() => body(x))];
    eager.push(tidy(() => body(eager[0])));
    const [first] = plan.run(x);
    const once = [...(await first.read())];
    const [second] = plan.run(first);
    expect([once, ...(await read(second))]).toEqual(await read(...eager));
    scale.write([0]);
    expect(await read(...plan.run(x))).toEqual([[...(await x.read())]]);
    first.dispose();
    plan[Symbol.dispose]();
    for (const each of [w, scale, x]) each.dispose();
  });

  it("holds nothing that nobody needs", async () => {
    const probe = from([0]);
    await probe.read(); // a browser tells what it held when it was last asked
    const before = device().usage();
    const w = from([1, 2, 3, 4], [2, 2]).tracked();
    const x = from([1, 2], [1, 2]);
    const gradient = tidy(() => grad(x.matmul(w).softmax().square().sum(), [w])[0] as Tensor);
    await read(gradient, w, x);
    await probe.read();
    expect(device().usage()).toMatchObject({ slots: before.slots, bytes: before.bytes });
    probe.dispose();
  });
});

describe("openDevice", () => {
  it("takes nothing in place of what was asked for", async () => {
    expect(DEVICE_NAMES).toContain("gpu:webasm");
    await expect(openDevice("tpu")).rejects.toThrow("openDevice: expected one of cpu, gpu, gpu:webgpu");
    await expect(openDevice("gpu:webgl2")).rejects.toThrow("gpu:webgl2: WebGL 2 is for browsers");
  });
});
