import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { type HostTensor, Random, writeSafetensors } from "../../core/index.ts";
import { flowFromNames } from "../../flows/from-names.ts";
import {
  ActNorm,
  AdditiveCoupling,
  AffineCoupling,
  certify,
  DiagonalNormal,
  Flow,
  InvertiblePLU,
  Logit,
  MlpConditioner,
  Permutation,
  StandardNormal,
} from "../../flows/index.ts";

const N = 4;
const net = () => new MlpConditioner({ kept: N / 2, condition: 3, width: 8, outputs: N / 2 });
const make = () =>
  new Flow(
    [new Permutation(N), new AffineCoupling(net(), net()), new InvertiblePLU(N)],
    new StandardNormal([N]),
  );
const healthy = make().init(new Random(1)).stateDict();
/** The same with an inverse permutation that is none. */
const broken = new Map(healthy);
broken.set("layers.2.P_inv", { dtype: "F32", shape: [N, N], data: new Float32Array(N * N).fill(0.5) });

describe("certify", () => {
  test("holds for a sound flow, and reports its layers", () => {
    const certificate = certify(make, { state: healthy, condition: 3 });
    expect(certificate.holds).toBe(true);
    expect(certificate.laws).toHaveLength(7);
    expect(certificate.layers.map(({ kind }) => kind)).toEqual([
      "Permutation",
      "AffineCoupling",
      "InvertiblePLU",
    ]);
    // A permutation and an orthogonal matrix magnify nothing.
    expect(certificate.layers[0].conditionNumber).toBeCloseTo(1, 9);
    expect(certificate.layers[2].conditionNumber).toBeCloseTo(1, 5);
    expect(certificate.layers.map(({ saturation }) => saturation)).toEqual([null, 0, null]);
    expect(certificate.conditionEffect).toBeGreaterThan(0);
    expect(certificate.worst.error).toBeGreaterThan(0);
    expect(certificate.worst.error).toBeLessThan(1e-5);
    expect(certificate.worst.x).toHaveLength(N);
  });

  test("is a function of the seed", () => {
    const of = (seed: number) => certify(make, { state: healthy, condition: 3, seed, points: 2 });
    expect(of(3)).toEqual(of(3));
    expect(of(3).worst).not.toEqual(of(4).worst);
  });

  test("fails for a flow whose stored inverse is wrong, and says which laws break", () => {
    const { holds, laws, worst } = certify(make, { state: broken, condition: 3 });
    expect(holds).toBe(false);
    expect(laws.filter((law) => !law.holds).map(({ law }) => law)).toEqual(
      expect.arrayContaining(["inverse(forward(x)) = x", "forward(inverse(z)) = z"]),
    );
    expect(worst.error).toBeGreaterThan(1e-2);
  });

  test("fails for a layer of no inverse: a zero on the diagonal", () => {
    const state = new Map(healthy);
    state.set("layers.2.s", { dtype: "F32", shape: [N], data: Float32Array.of(1, 0, 1, 1) });
    expect(certify(make, { state, condition: 3 }).holds).toBe(false);
  });

  test("sees saturated scales", () => {
    const state = new Map(healthy);
    const name = "layers.1.scale_net.net.6.bias";
    state.set(name, { dtype: "F32", shape: [N / 2], data: new Float32Array(N / 2).fill(50) });
    expect(certify(make, { state, condition: 3 }).layers[1].saturation).toBe(1);
  });

  test("keeps to the domain of bounded data", () => {
    const bounded = () => new Flow([new Logit()], new StandardNormal([2]));
    expect(certify(bounded, { float64: 1e-6 }).holds).toBe(true);
  });
});

describe("flowFromNames", () => {
  test("reads layers, prefix and condition off a checkpoint", () => {
    const named = new Map([...healthy].map(([name, tensor]) => [`nf.${name}`, tensor]));
    const { make: found, prefix, condition } = flowFromNames(named);
    expect(prefix).toBe("nf.");
    expect(condition).toBe(3);
    const flow = found().load(named, { prefix });
    expect([...flow.stateDict().keys()]).toEqual([...healthy.keys()]);
  });

  test("reads both bases and all kinds of layers that names tell", () => {
    const net = new MlpConditioner({ kept: 2, condition: 0, width: 4, outputs: 2 });
    const flow = new Flow([new ActNorm(4), new AdditiveCoupling(net)], new DiagonalNormal([4]));
    const state = flow.init(new Random(2)).stateDict();
    const { make: found, condition } = flowFromNames(state);
    expect(condition).toBe(0);
    expect(certify(found, { state, points: 1 })).toMatchObject({ holds: true, conditionEffect: null });
  });

  test("finds the flow among other layers; of several it takes the one that is named", () => {
    const dict = new Map([...healthy].map(([name, tensor]) => [`nf.${name}`, tensor]));
    const other: HostTensor = { dtype: "F32", shape: [2], data: new Float32Array(2) };
    dict.set("encoder.layers.0.self_attn.bias", other);
    expect(flowFromNames(dict).prefix).toBe("nf.");
    for (const [name, tensor] of healthy) dict.set(`ema.${name}`, tensor);
    expect(() => flowFromNames(dict)).toThrow('found several; choose one of the prefixes "nf.", "ema."');
    expect(flowFromNames(dict, "ema.").prefix).toBe("ema.");
    expect(() => flowFromNames(dict, "no.")).toThrow("expected tensors named no.layers.0.…, found none");
  });

  test.each<[string, string, (dict: Map<string, HostTensor>) => void]>([
    ["without layers", "expected tensors named …layers.0.…", (dict) => dict.clear()],
    [
      "with a layer it does not know",
      "no known layer has the tensors",
      (dict) => dict.delete("layers.1.shift_net.net.0.bias"),
    ],
    ["with a gap", "layers.0: no known layer", (dict) => dict.delete("layers.0.perm")],
  ])("refuses a checkpoint %s", (_, message, spoil) => {
    const dict = new Map(healthy);
    spoil(dict);
    expect(() => flowFromNames(dict)).toThrow(message);
  });
});

describe("the certify command", () => {
  const dir = mkdtempSync(join(tmpdir(), "certify-"));
  afterAll(() => rmSync(dir, { recursive: true }));
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ["--import", "tsx", "flows/certify.ts", ...args], {
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      encoding: "utf8",
    });
  const saved = (name: string, state: ReadonlyMap<string, HostTensor>): string => {
    writeSafetensors(join(dir, name), state);
    return join(dir, name);
  };

  test("exits with 0 for a sound flow and prints its certificate", () => {
    const { status, stdout } = run(saved("sound.safetensors", healthy), "--seed", "5");
    expect(stdout).toContain("every law holds (seed 5)");
    expect(stdout).toMatch(/1 {2}AffineCoupling/);
    expect(status).toBe(0);
  });

  test("exits with 1 for a broken one, as JSON too", () => {
    const { status, stdout } = run(saved("broken.safetensors", broken), "--json");
    expect(JSON.parse(stdout)).toMatchObject({ holds: false, seed: 0 });
    expect(status).toBe(1);
  });

  test("takes the flow from a module", () => {
    const module = join(dir, "my-flow.mts");
    const flows = new URL("../../flows/index.ts", import.meta.url).href;
    writeFileSync(
      module,
      `import { ElementwiseAffine, Flow, StandardNormal } from ${JSON.stringify(flows)};
       export default () => ({
         make: () => new Flow([new ElementwiseAffine([2, 3])], new StandardNormal([2, 3])),
         prefix: "",
         condition: 0,
       });`,
    );
    const floats = (fill: number): HostTensor => ({
      dtype: "F32",
      shape: [2, 3],
      data: new Float32Array(6).fill(fill),
    });
    const path = saved(
      "mine.safetensors",
      new Map([
        ["layers.0.log_scale", floats(0.5)],
        ["layers.0.shift", floats(1)],
      ]),
    );
    const { status, stdout } = run(path, "--flow", module);
    expect(stdout).toContain("ElementwiseAffine");
    expect(status).toBe(0);
  });

  test("reads a folder, and says what is wrong with its arguments", () => {
    saved("model.safetensors", healthy);
    expect(run(dir, "--points", "1")).toMatchObject({ status: 0 });
    expect(run()).toMatchObject({ status: 2 });
    expect(run(dir, "--points", "0.5")).toMatchObject({ status: 2 });
    const absent = run(join(dir, "absent.safetensors"));
    expect(absent.status).toBe(1);
    expect(absent.stderr).toContain("absent.safetensors");
  });
});
