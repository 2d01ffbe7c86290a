import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fc, test as prop } from "@fast-check/vitest";
import { afterAll, describe, expect, test } from "vitest";
import { type HostTensor, Random, Tensor, writeSafetensors } from "../../core/index.ts";
import { outlineFromModule } from "../../flows/flow-module.ts";
import { flowFromNames } from "../../flows/from-names.ts";
import {
  ActNorm,
  AdditiveCoupling,
  AffineCoupling,
  certify,
  DiagonalNormal,
  ElementwiseAffine,
  Flow,
  InvertiblePLU,
  Logit,
  MlpConditioner,
  Permutation,
  StandardNormal,
  Tanh,
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
    expect(certificate.findings).toEqual([]);
    const subjects = [...new Set(certificate.laws.map(({ subject }) => subject.replace(/ \d.*/, "")))];
    expect(subjects).toEqual(["the whole flow", "the base", "layer"]);
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
    expect(certificate.layers.map((layer) => (layer.conditionEffect ?? 0) > 0)).toEqual([false, true, false]);
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
    expect(certify(bounded, { float64: 1e-6 }).findings).toEqual([]);
  });

  test("refuses a flow whose samples a layer cannot take, so that nothing could be tried", () => {
    const outside = () => new Flow([new Tanh(), new ElementwiseAffine([2])], new StandardNormal([2]));
    const state = new Map<string, HostTensor>([
      ["layers.1.shift", { dtype: "F32", shape: [2], data: Float32Array.of(1000, 1000) }],
      ["layers.1.log_scale", { dtype: "F32", shape: [2], data: Float32Array.of(0, 0) }],
    ]);
    expect(() => certify(outside, { state })).toThrow(
      "certify: expected samples that every layer can take, got none",
    );
  });

  test("refuses own points of another shape, and without their conditions", () => {
    const x = Tensor.zeros([2, N + 1]);
    expect(() => certify(make, { own: { x } })).toThrow("certify: expected own points of (4), got (2, 5)");
    expect(() => certify(make, { condition: 3, own: { x: Tensor.zeros([2, N]) } })).toThrow(
      "certify: expected own conditions (2, 3)",
    );
  });
});

/** Gives a tensor of a state dict another shape. */
const reshaped = (name: string, shape: number[]) => (dict: Map<string, HostTensor>) => {
  const tensor = dict.get(name) as HostTensor;
  dict.set(name, { ...tensor, shape });
};

/** Shapes as a damaged or made-up file may have them. */
const shapes = fc.array(fc.constantFrom(0, 1, 2, 3, 4, 8, 1000, 2 ** 31), { maxLength: 3 });

describe("flowFromNames", () => {
  prop.prop([
    fc.uniqueArray(fc.tuple(fc.constantFrom(...healthy.keys()), shapes), {
      selector: ([name]) => name,
      minLength: 1,
    }),
  ])("of any shapes builds a flow of just these tensors, or throws", (changes) => {
    const dict = new Map(healthy);
    for (const [name, shape] of changes) reshaped(name, shape)(dict);
    const changed = changes.some(([name, shape]) => `${shape}` !== `${healthy.get(name)?.shape}`);
    let found: Flow;
    try {
      found = flowFromNames(dict).make();
    } catch (error) {
      expect(changed).toBe(true);
      expect((error as Error).message).toMatch(/^flowFromNames: layers\.\d.*, found /);
      return;
    }
    const built = [...found.namedTensors()].map(([name, { shape }]) => [name, shape]);
    expect(built).toEqual([...dict].map(([name, { shape }]) => [name, shape]));
    found.dispose();
  });

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
    [
      "with fewer inputs than kept entries",
      "layers.1.scale_net: expected inputs for 2 kept entries, as many as outputs, found 1",
      reshaped("layers.1.scale_net.net.0.weight", [8, 1]),
    ],
    [
      "with networks that do not agree on the condition",
      "layers.1.scale_net: expected 2 outputs and a condition of 3, like shift_net, found 2 and 4",
      reshaped("layers.1.scale_net.net.0.weight", [8, 6]),
    ],
    [
      "with a huge hidden layer that its neighbours do not have",
      "layers.1.shift_net.net.0.bias: expected (1000000), nowhere 0, beside the others, found (8)",
      reshaped("layers.1.shift_net.net.0.weight", [1_000_000, 5]),
    ],
    [
      "with a permutation without an axis",
      "layers.0.perm: expected (0), nowhere 0, beside the others, found ()",
      reshaped("layers.0.perm", []),
    ],
    [
      "with an inverse of another length",
      "layers.0.inv_perm: expected (4), nowhere 0, beside the others, found (3)",
      reshaped("layers.0.inv_perm", [3]),
    ],
    [
      "with a matrix that is none",
      "layers.2.U: expected (4, 4), nowhere 0, beside the others, found (16)",
      reshaped("layers.2.U", [16]),
    ],
    [
      "with layers of different events",
      "layers.1: expected 4 entries, as the first layer has, found 2",
      (dict) => {
        for (const net of ["scale_net", "shift_net"]) {
          reshaped(`layers.1.${net}.net.6.weight`, [1, 8])(dict);
          reshaped(`layers.1.${net}.net.6.bias`, [1])(dict);
        }
      },
    ],
    [
      "with layers of different conditions",
      "layers.1: expected one width of conditions, 5 or 0, found 3",
      (dict) => {
        for (const [name, tensor] of healthy)
          if (name.startsWith("layers.1.")) dict.set(name.replace("layers.1.", "layers.3."), tensor);
        for (const net of ["scale_net", "shift_net"]) reshaped(`layers.3.${net}.net.0.weight`, [8, 7])(dict);
      },
    ],
  ])("refuses a checkpoint %s", (_, message, spoil) => {
    const dict = new Map(healthy);
    spoil(dict);
    expect(() => flowFromNames(dict)).toThrow(message);
  });
});

test("the laws run without a test runner, from nina-ts/flows/laws", () => {
  const script = `
    import { ActNorm, Inverse, Tanh } from "nina-ts/flows";
    import { bijectorLaws } from "nina-ts/flows/laws";
    const sound = bijectorLaws(({ D }) => new ActNorm(D), { D: 2, C: 0 });
    for (const { check } of sound) check(5);
    class Wrong extends ActNorm { inverse(z) { return super.forward(z); } }
    const broken = bijectorLaws(({ D }) => new Wrong(D), { D: 2, C: 0 });
    for (const { check } of broken) try { check(5) } catch (error) { console.log(error.message) }
  `;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", "--input-type=module", "--eval", script],
    { cwd: fileURLToPath(new URL("../..", import.meta.url)), encoding: "utf8" },
  );
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^inverse\(forward\(x\)\) = x: error \d.*, allowed 1e-9 \(parameters of seed 5\)$/m);
});

describe("the certify command", () => {
  const dir = mkdtempSync(join(tmpdir(), "certify-"));
  const example = fileURLToPath(new URL("../fixtures/flow-module.ts", import.meta.url));
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

  test("takes the flow from a module, its tensors from a checkpoint under --prefix", () => {
    const state = new Map<string, HostTensor>();
    for (const [name, tensor] of healthy)
      if (!name.startsWith("layers.2."))
        state.set(name.startsWith("layers.0.") ? name.replace("0", "1") : name.replace("1", "0"), tensor);
    const path = saved(
      "ema.safetensors",
      new Map([...state].map(([name, tensor]) => [`ema.${name}`, tensor])),
    );
    const right = run(path, "--flow", example, "--prefix", "ema.", "--points", "1");
    expect(right.stdout).toContain("AffineCoupling");
    expect(right.stdout).not.toContain("drawn");
    expect(right.status).toBe(0);
    const wrong = run(path, "--flow", example, "--points", "1");
    expect(wrong.stderr).toContain("missing (22): layers.0.scale_net.net.0.weight");
    expect(wrong.status).toBe(1);
  });

  test("draws the parameters of a module's flow where there is no checkpoint", () => {
    const text = run("--flow", example, "--points", "1", "--seed", "4");
    expect(text.stdout).toMatch(/^parameters drawn from seed 4\n/);
    expect(text.stdout).toContain("every law holds (seed 4)");
    expect(text.status).toBe(0);
    const json = run("--flow", example, "--points", "1", "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ holds: true, conditionEffect: expect.any(Number) });
  });

  test("reads a folder, and says what is wrong with its arguments", () => {
    saved("model.safetensors", healthy);
    expect(run(dir, "--points", "1")).toMatchObject({ status: 0 });
    for (const [args, message] of [
      [[], "expected CHECKPOINT, --flow, or both"],
      [[dir, "--points", "0.5"], '--points: expected a whole number from 1 to 4294967295, got "0.5"'],
      [[dir, "--seed=-1"], '--seed: expected a whole number from 0 to 4294967295, got "-1"'],
      [["--flow", example, "--prefix", "nf."], "--prefix: expected a CHECKPOINT with such names, got none"],
      [[dir, "--weights", "ema"], "--weights: expected a PyTorch checkpoint, got "],
    ] as const) {
      const { status, stderr } = run(...args);
      expect(stderr).toContain(message);
      expect(stderr.trimEnd()).not.toContain("\n");
      expect(status).toBe(2);
    }
  });

  test("says in one line, with exit code 1, what it cannot read", () => {
    writeFileSync(join(dir, "noise.safetensors"), "these are no tensors");
    writeFileSync(join(dir, "noise.pt"), "these are no tensors");
    for (const name of ["absent.safetensors", "noise.safetensors", "noise.pt"]) {
      const { status, stderr } = run(join(dir, name));
      expect(stderr).toContain(name);
      expect(stderr.trimEnd()).not.toContain("\n");
      expect(status).toBe(1);
    }
  });
});

describe("a module with a flow", () => {
  const dir = mkdtempSync(join(tmpdir(), "flow-module-"));
  afterAll(() => rmSync(dir, { recursive: true }));

  test.each([
    ["is no file", null, "expected a module, found no file"],
    ["is no code", "export default (", ""],
    ["throws", "throw new Error('two\\nlines')", "two lines"],
    [
      "exports nothing",
      "",
      "default export: expected a function that gives { make, prefix, condition }, got undefined",
    ],
    ["exports an outline", "export default { make() {} }", "default export: expected a function"],
    ["exports a class", "export default class {}", ""],
    [
      "gives nothing",
      "export default () => {}",
      "default export: expected an object with make, prefix, condition, got undefined",
    ],
    [
      "misspells an option",
      "export default () => ({ make() {}, conditions: 3 })",
      "expected options make, prefix, condition, got conditions",
    ],
    [
      "has no make",
      "export default () => ({ condition: 3 })",
      "expected make to be a function that builds the flow, got undefined",
    ],
    [
      "has a broken condition",
      "export default () => ({ make() {}, condition: '3' })",
      'expected condition to be an integer of at least 0, got "3"',
    ],
    [
      "has a broken prefix",
      "export default () => ({ make() {}, prefix: 3 })",
      "expected prefix to be text, got 3",
    ],
  ])("that %s is told in one line", async (name, code, message) => {
    const file = join(dir, `${name.replaceAll(" ", "-")}.mjs`);
    if (code !== null) writeFileSync(file, code);
    const error = await outlineFromModule(file).then(
      () => null,
      (caught: unknown) => caught as Error,
    );
    expect(error?.message).toContain(message);
    expect(error?.message.startsWith(`${file}: `)).toBe(true);
    expect(error?.message).not.toContain("\n");
  });

  test("builds a flow, a new one each time", async () => {
    const file = join(dir, "counts.mjs");
    writeFileSync(
      file,
      "export default async (tensors, path) => ({ make: () => globalThis.flowForTest(tensors, path) });",
    );
    const flows = [make(), make()];
    const given: unknown[][] = [];
    const made: unknown[] = [flows[0], flows[1], flows[0], "flow"];
    Object.assign(globalThis, {
      flowForTest: (...args: unknown[]) => {
        given.push(args);
        return made.shift();
      },
    });
    const outline = await outlineFromModule(file, healthy, "path");
    expect(outline).toMatchObject({ prefix: "", condition: 0 });
    expect([outline.make(), outline.make()]).toEqual(flows);
    expect(given[0]).toEqual([healthy, "path"]);
    expect(outline.make).toThrow(`${file}: expected make to build a new Flow at each call`);
    expect(outline.make).toThrow(`${file}: expected make to build a Flow, got "flow"`);
    for (const flow of flows) flow.dispose();
  });

  test("and certify asks for a function too", () => {
    const flow = make();
    expect(() => certify(flow as never)).toThrow(
      "certify: expected make, which builds the flow, to be a function, got a Flow",
    );
    flow.dispose();
  });
});
