import { fc, test } from "@fast-check/vitest";
import { describe, expect, vi } from "vitest";
import { type HostTensor, heapUsage, type LazyTensor, Random, Tensor } from "../../core/index.ts";
import {
  buffer,
  constant,
  inDType,
  Lambda,
  Linear,
  Module,
  outline,
  parameter,
  Sequential,
} from "../../nn/index.ts";

class Leaf extends Module {
  scale = parameter([2], constant(1));
}

/** Every way to hold a branch. */
class Tree extends Module {
  child = new Leaf();
  weight = parameter([2, 3], constant(0));
  order = buffer([3], constant(2), "int32");
  frozen = buffer([4], constant(5));
  list = [new Leaf(), new Leaf()];
  byName = { left: new Leaf(), right: parameter([1], constant(0)) };
  byMap = new Map<string, Leaf | Tensor>([["a", new Leaf()]]);
  readonly size = 3;
  readonly config = { heads: 2, names: ["a"] };
  readonly #secret = new Leaf();

  get secret(): Leaf {
    return this.#secret;
  }
}

const names = (module: Module): string[] => [...module.namedTensors()].map(([name]) => name);
const tree = (): Tree => new Tree().init(new Random(1));

describe("names", () => {
  test("are paths, a module's own tensors before its children's, in field order", () => {
    expect(names(new Tree())).toEqual([
      "weight",
      "order",
      "frozen",
      "child.scale",
      "list.0.scale",
      "list.1.scale",
      "byName.left.scale",
      "byName.right",
      "byMap.a.scale",
    ]);
  });

  test("of a Sequential are positions; functions take a place without adding names", () => {
    const net = new Sequential(
      new Linear(2, 3),
      new Lambda((x) => x.tanh()),
      new Linear(3, 1, { bias: false }),
    );
    expect(names(net)).toEqual(["0.weight", "0.bias", "2.weight"]);
  });
});

describe("counting", () => {
  test("parameters count, buffers on request, integers never", () => {
    const trainable = 2 * 3 + 5 * 2 + 1;
    expect(new Tree().countParameters()).toBe(trainable);
    expect(new Tree().countParameters({ frozen: true })).toBe(trainable + 4);
  });
});

describe("init", () => {
  test("fills everything; before it numbers are NaN, so that a forgotten one shows", () => {
    expect(new Tree().weight.toArray().every(Number.isNaN)).toBe(true);
    const made = tree();
    expect([...made.namedTensors()].every(([, t]) => t.toArray().every(Number.isFinite))).toBe(true);
    expect(made.order.toArray()).toEqual([2, 2, 2]);
  });

  test.prop([fc.nat(1000)])("is a function of the seed", (seed) => {
    const draw = (s: number) => new Linear(4, 3).init(new Random(s)).weight.toArray();
    expect(draw(seed)).toEqual(draw(seed));
    expect(draw(seed)).not.toEqual(draw(seed + 1));
    expect(Math.max(...draw(seed).map(Math.abs))).toBeLessThanOrEqual(0.5);
  });
});

describe("train and eval", () => {
  test("reach the whole tree", () => {
    const made = new Tree().train();
    expect([...made.modules()].map((module) => module.training)).toEqual([
      true,
      true,
      true,
      true,
      true,
      true,
    ]);
    expect(made.secret.training).toBe(false); // private: not part of the tree
    expect([...made.eval().modules()].some((module) => module.training)).toBe(false);
  });
});

describe("inDType", () => {
  test("holds for what is built inside, integers excepted, and ends with it", () => {
    const made = inDType("float64", () => new Tree());
    expect(made.weight.dtype).toBe("float64");
    expect(made.order.dtype).toBe("int32");
    expect(() =>
      inDType("float64", () => {
        throw new Error("while building");
      }),
    ).toThrow("while building");
    expect(new Tree().weight.dtype).toBe("float32");
  });
});

describe("load", () => {
  test("prints names of a file so that a terminal does not obey them", () => {
    const hostile = new Map([...tree().stateDict(), ["\u001b[2Jx\ny", tree().stateDict().get("weight")!]]);
    expect(() => tree().load(hostile)).toThrow("extra (1): \\u{1b}[2Jx\\u{a}y");
  });

  test("after stateDict changes nothing, with and without a prefix", () => {
    const made = tree();
    made.weight.data.set([1, 2, 3, 4, 5, 6]);
    const dict = made.stateDict();
    expect(tree().load(dict).stateDict()).toEqual(dict);
    const prefixed = new Map([...dict].map(([name, tensor]) => [`net.${name}`, tensor]));
    prefixed.set("elsewhere", { dtype: "F32", shape: [1], data: Float32Array.of(1) });
    expect(tree().load(prefixed, { prefix: "net." }).stateDict()).toEqual(dict);
  });

  const entries = names(new Tree());
  const damage = fc.record({
    missing: fc.subarray(entries),
    misshapen: fc.subarray(entries),
    extra: fc.uniqueArray(fc.constantFrom("more", "weight.more", "list.2.scale"), { maxLength: 3 }),
  });
  test.prop([damage])(
    "lists all that is missing, misshapen and extra in one error, and changes nothing",
    (d) => {
      const misshapen = d.misshapen.filter((name) => !d.missing.includes(name));
      fc.pre(d.missing.length + misshapen.length + d.extra.length > 0);
      const source = tree();
      for (const [, tensor] of source.namedTensors()) tensor.data.fill(9);
      const dict = source.stateDict();
      const odd: HostTensor = { dtype: "F32", shape: [7, 1], data: new Float32Array(7) };
      for (const name of d.missing) dict.delete(name);
      for (const name of [...misshapen, ...d.extra]) dict.set(name, odd);

      const made = tree();
      const before = made.stateDict();
      let message = "";
      try {
        made.load(dict);
      } catch (error) {
        message = (error as Error).message;
      }
      for (const [title, list] of Object.entries({ missing: d.missing, misshapen, extra: d.extra })) {
        expect(message.includes(`${title} (`)).toBe(list.length > 0);
        if (list.length > 0) expect(message).toContain(`${title} (${list.length})`);
        for (const name of list) expect(message).toContain(name);
      }
      expect(made.stateDict()).toEqual(before);
    },
  );
});

describe("an outline", () => {
  test("of any size takes no memory, and says whether a state dict would fit", () => {
    const { live } = heapUsage();
    const huge = outline(() => new Linear(2 ** 30, 2 ** 20));
    expect(heapUsage().live).toBe(live);
    const shapes = (bias: number): Map<string, LazyTensor> =>
      new Map(
        Object.entries({ weight: [2 ** 20, 2 ** 30], bias: [bias] }).map(([name, shape]) => [
          name,
          { dtype: "BF16" as const, shape, read: () => expect.unreachable() },
        ]),
      );
    huge.checkFit(shapes(2 ** 20));
    expect(() => huge.checkFit(shapes(3))).toThrow(
      /^Linear: the state dict does not fit\n {2}misshapen \(1\): bias: expected \(1048576\), got \(3\)$/,
    );
    expect(() => huge.weight.add(1)).toThrow("a module without numbers can neither be read nor compute");
  });
});

test("integers are no numbers: refused before anything has changed", () => {
  const made = tree();
  const before = made.stateDict();
  const dict = tree().stateDict();
  const { shape } = dict.get("list.1.scale") as HostTensor;
  const data = new BigInt64Array(shape.reduce((a, b) => a * b, 1));
  dict.set("list.1.scale", { dtype: "I64", shape, data });
  expect(() => made.load(dict)).toThrow("list.1.scale: expected one of F32, F64, BF16, F16, got I64");
  expect(made.stateDict()).toEqual(before);
});

describe("dispose", () => {
  test("gives back the memory of the whole tree", () => {
    const made = tree();
    const inner: Tensor = made.list[1].scale;
    made.dispose();
    expect(() => inner.data).toThrow("freed");
    expect(Tensor.zeros([1]).data[0]).toBe(0);
  });
});

describe("branches that cannot be listed are refused", () => {
  vi.resetModules();
  class Holder extends Module {
    readonly held: unknown;
    constructor(held: unknown) {
      super();
      this.held = held;
    }
  }
  class Plain {
    layer = new Leaf();
  }
  const weight = parameter([1], constant(0));

  test.each([
    ["a Set", new Set([new Leaf()])],
    ["a Map with other keys", new Map([[1, new Leaf()]])],
    ["an object of a class that is no module", new Plain()],
    ["a record without a prototype", Object.assign(Object.create(null), { weight })],
    ["a list with one of them", [new Leaf(), new Set([weight])]],
  ])("%s", (_, held) => {
    for (const use of [(m: Module) => m.parameters(), (m: Module) => m.train(), (m: Module) => m.stateDict()])
      expect(() => use(new Holder(held))).toThrow(
        /^Holder: held.*: expected modules and parameters in fields/,
      );
  });

  test("what belongs to another copy of the package", async () => {
    const [nn, core] = [await import("../../nn/index.ts"), await import("../../core/index.ts")];
    for (const held of [new nn.Linear(1, 1), [core.Tensor.ones([1])], new Set([new nn.Linear(1, 1)])])
      expect(() => new Holder(held).parameters()).toThrow(/^Holder: held/);
    expect(() => new Holder(new nn.Linear(1, 1)).parameters()).toThrow("made by another copy of nina-ts");
  });

  test("a module that holds itself", () => {
    const child = new Leaf() as Leaf & { parent?: Module };
    const root = new Holder([child]);
    child.parent = root;
    expect(() => root.parameters()).toThrow(
      "Holder: expected a tree, got held.0.parent, a Holder that holds itself",
    );
  });

  test("other things are configuration", () => {
    const config: Record<string, unknown> = { at: new Date(0), list: [1, "a"], table: new Float32Array(3) };
    config.self = config;
    for (const held of [config, new Map([[1, 2]]), new Set([1]), null, () => weight, Symbol("s")])
      expect(new Holder(held).parameters()).toEqual([]);
  });
});

/** One matrix in two places, as language models tie their embedding to their output, and one leaf twice. */
class Tied extends Module {
  embedding = new Linear(3, 3, { bias: false });
  output = new Linear(3, 3);
  leaves: Leaf[];

  constructor() {
    super();
    this.output.weight = this.embedding.weight;
    const leaf = new Leaf();
    this.leaves = [leaf, leaf];
  }
}

describe("tied tensors", () => {
  const both = ["embedding.weight", "output.weight"];

  test("are one parameter with two names", () => {
    const made = new Tied();
    const all = ["embedding.weight", "output.weight", "output.bias", "leaves.0.scale", "leaves.1.scale"];
    expect(names(made)).toEqual(all);
    expect(made.namedParameters().map(([name]) => name)).toEqual([all[0], all[2], all[3]]);
    expect(made.parameters()).toEqual([made.embedding.weight, made.output.bias, made.leaves[0].scale]);
    expect(made.countParameters()).toBe(9 + 3 + 2);
    expect([...made.modules()]).toHaveLength(1 + 2 + 1);
    expect([...made.init(new Random(1)).stateDict().keys()]).toEqual(all);
  });

  test("are drawn once", () => {
    const made = new Tied().init(new Random(1));
    const alone = new Linear(3, 3, { bias: false }).init(new Random(1));
    expect(made.embedding.weight.toArray()).toEqual(alone.weight.toArray());
  });

  test.prop([fc.subarray(both, { minLength: 1 })])("load from either name, or both", (kept) => {
    const dict = new Tied().init(new Random(1)).stateDict();
    for (const name of both) if (!kept.includes(name)) dict.delete(name);
    const made = new Tied().load(dict);
    expect(made.output.weight.toArray()).toEqual([...(dict.get(kept[0]) as HostTensor).data]);
  });

  test("refuse other numbers under another name, and no name at all", () => {
    const made = new Tied().init(new Random(1));
    const before = made.stateDict();
    const dict = new Tied().init(new Random(2)).stateDict();
    const { dtype, shape } = dict.get(both[1]) as HostTensor;
    dict.set(both[1], { dtype, shape, data: new Float32Array(9) });
    expect(() => made.load(dict)).toThrow("conflicting (1): output.weight and embedding.weight");
    for (const name of both) dict.delete(name);
    expect(() => made.load(dict)).toThrow("missing (2): embedding.weight; output.weight");
    expect(made.stateDict()).toEqual(before);
  });
});
