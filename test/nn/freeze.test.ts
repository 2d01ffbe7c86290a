import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { grad, Random, Scope, type Tensor, tidy, watchKernels } from "../../core/index.ts";
import { AdamW, freeze, Linear, Mlp, Module, TrainingStep } from "../../nn/index.ts";

class Net extends Module {
  first = new Linear(3, 4);
  blocks = [new Mlp(4, 5), new Mlp(4, 5)];
  last = new Linear(4, 2);
  tied = { weight: this.first.weight };

  forward(x: Tensor): Tensor {
    let y = this.first.forward(x);
    for (const block of this.blocks) y = y.add(block.forward(y));
    return this.last.forward(y).square().mean();
  }
}

/** Whether a name fits a pattern, said another way than by a regular expression. */
function fits(name: string, pattern: string): boolean {
  if (pattern === "") return name === "";
  const rest = pattern.slice(1);
  if (pattern[0] === "*") return fits(name, rest) || (name !== "" && fits(name.slice(1), pattern));
  return name !== "" && (pattern[0] === "?" || pattern[0] === name[0]) && fits(name.slice(1), rest);
}

const names = [...new Net().namedTensors()].map(([name]) => name);
/** A name with some of its letters exchanged for `?` and a stretch of it for `*`. */
const patterns = fc
  .tuple(fc.constantFrom(...names), fc.nat(40), fc.nat(40), fc.nat(40))
  .map(([name, single, from, length]) => {
    const letters = Array.from(name, (letter, i) => (i === single ? "?" : letter));
    letters.splice(Math.min(from, name.length), length, "*");
    return letters.join("");
  });

describe("freeze", () => {
  test.prop([fc.array(patterns, { maxLength: 3 }), fc.integer({ min: 0, max: 2 ** 31 })])(
    "what is named gets no gradient, all else the same one, bit for bit",
    (chosen, seed) => {
      using _ = new Scope();
      const [whole, net] = [0, 1].map(() => new Net().init(new Random(seed)));
      freeze(net, chosen);
      const all = [...net.tensors().values()];
      const left = all.filter((own) => !own.some((name) => chosen.some((pattern) => fits(name, pattern))));
      expect(net.namedParameters().map(([name]) => name)).toEqual(left.map(([name]) => name));

      const x = new Random(seed + 1).normals([2, 3]);
      const expected = grad(whole.forward(x), whole.parameters());
      const got = left.length > 0 ? grad(net.forward(x), net.parameters()) : [];
      const places = left.map((own) => all.indexOf(own));
      expect(got.map((g) => g?.toArray())).toEqual(places.map((place) => expected[place]?.toArray()));
      for (const module of [whole, net]) module.dispose();
    },
  );

  test("the way back ends at the lowest parameter that is trained", () => {
    using _ = new Scope();
    const x = new Random(1).normals([2, 3]);
    const calls = (chosen: readonly string[]): number => {
      const net = new Net().init(new Random(2));
      freeze(net, chosen);
      let count = 0;
      const loss = net.forward(x);
      watchKernels(
        () => count++,
        () => tidy(() => void grad(loss, net.parameters())),
      );
      net.dispose();
      return count;
    };
    // The last layer's own gradients need the slopes of what follows it; with the first layer all blocks are passed.
    expect(calls(["first.*", "blocks.*"])).toBeLessThan(calls(["blocks.*"]) / 2);
  });

  test("a captured step leaves what is frozen as it is", async () => {
    const net = new Net().init(new Random(3)).train();
    freeze(net, ["blocks.0.*"]);
    const optimizer = new AdamW(net.namedParameters());
    const x = new Random(4).normals([2, 3]);
    const before = net.stateDict();
    using step = new TrainingStep((input) => net.forward(input), optimizer, [x]);
    for (let i = 0; i < 3; i++) await step.run([x], 0.1);
    for (const [name, { data }] of net.stateDict()) {
      const same = name.startsWith("blocks.0.");
      expect([name, Buffer.compare(bytes(data), bytes(before.get(name)?.data)) === 0]).toEqual([name, same]);
    }
    optimizer.dispose();
    net.dispose();
  });

  test("refuses a pattern that names nothing, and freezes nothing then", () => {
    const net = new Net();
    expect(() => freeze(net, ["first.*", "frist.*"])).toThrow(
      'freeze: expected the name of a parameter, or a pattern of some, found "frist.*"; there are 12, such as ' +
        "first.weight, blocks.0.fc1.weight, blocks.0.fc2.weight, blocks.1.fc1.weight, blocks.1.fc2.weight, last.weight",
    );
    expect(net.parameters()).toHaveLength(12);
    net.dispose();
  });
});

const bytes = (data: ArrayBufferView | undefined): Uint8Array => {
  const { buffer, byteOffset, byteLength } = data as ArrayBufferView;
  return new Uint8Array(buffer, byteOffset, byteLength);
};
