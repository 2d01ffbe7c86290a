import { fc, test } from "@fast-check/vitest";
import { expect } from "vitest";
import {
  buffer,
  constant,
  forInference,
  freeze,
  inDType,
  Linear,
  Module,
  parameter,
  Sequential,
  summary,
} from "../../nn/index.ts";

class Net extends Module {
  body: Sequential;
  order = buffer([3], constant(2), "int32");
  tied = parameter([2], constant(1));
  twins = [this.tied];

  constructor(widths: readonly number[]) {
    super();
    this.body = new Sequential(...widths.slice(1).map((width, i) => new Linear(widths[i], width)));
  }
}

test("says what a module is made of", () => {
  const net = new Net([2, 1000]);
  freeze(net, ["body.0.bias"]);
  expect(summary(net)).toBe(
    [
      "                    shape      numbers  bytes",
      "Net",
      "  order             (3)              3     12  int32, not trained",
      "  tied              (2)              2      8",
      "  twins.0           (2)                        is tied",
      "  body: Sequential",
      "    0: Linear",
      "      weight        (1000, 2)    2,000  8,000",
      "      bias          (1000)       1,000  4,000  not trained",
      "",
      "2,002 numbers are trained, 1,003 are not; 12,020 bytes in all",
    ].join("\n"),
  );
});

test.prop([fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 })])(
  "its numbers add up to those that the module counts",
  (widths) => {
    const net = new Net(widths);
    const column = [...summary(net).matchAll(/\) {2,}([\d,]+) {2,}[\d,]+(?: |$)/gm)].map(([, numbers]) =>
      Number(numbers.replaceAll(",", "")),
    );
    const sum = column.reduce((a, b) => a + b, 0);
    expect(sum).toBe(net.countParameters() + 3);
    expect(summary(net)).toContain(`${net.countParameters().toLocaleString("en-US")} numbers are trained`);
  },
);

test("tells weights of float64 and sealed ones", () => {
  expect(summary(inDType("float64", () => new Linear(2, 2)))).toMatch(/weight +\(2, 2\) +4 +32 {2}float64/);
  const sealed = forInference("int8", () => new Linear(8, 8));
  expect(summary(sealed)).toContain("sealed as int8");
  expect(() => summary(3 as never)).toThrow("summary: expected a Module, got 3");
});
