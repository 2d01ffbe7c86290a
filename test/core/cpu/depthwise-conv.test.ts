import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { depthwiseConvWasm } from "../../../core/cpu/kernels/depthwise-conv.ts";
import { depthwiseTapsWasm } from "../../../core/cpu/kernels/depthwise-taps.ts";
import { Scope } from "../../../core/scope.ts";
import { Tensor } from "../../../core/tensor.ts";
import { flavours, largestError, numbers } from "./support.ts";

const size = fc.integer({ min: 1, max: 8 });

describe.each(flavours)("depthwise convolution $name", ({ run }) => {
  it("agrees with float64", () => {
    fc.assert(
      fc.property(
        fc.record({
          B: fc.integer({ min: 1, max: 2 }),
          H: size,
          W: size,
          C: fc.constantFrom(1, 3, 4, 7, 16, 21),
          seed: fc.nat(),
        }),
        ({ B, H, W, C, seed }) => {
          using _ = new Scope();
          const [x, weight] = [numbers([B, H, W, C], seed), numbers([3, 3, C], seed + 1)];
          const out = Tensor.empty(x.shape);
          run(() => depthwiseConvWasm(out, x, weight)?.());
          const expected = Float64Array.from({ length: out.size }, (_, i) => {
            const [c, column, row] = [i % C, Math.floor(i / C) % W, Math.floor(i / C / W) % H];
            let sum = 0;
            for (let tap = 0; tap < 9; tap++) {
              const [y, z] = [row + Math.floor(tap / 3) - 1, column + (tap % 3) - 1];
              const inside = y >= 0 && y < H && z >= 0 && z < W;
              if (inside) sum += x.data[i + ((y - row) * W + z - column) * C] * weight.data[tap * C + c];
            }
            return sum;
          });
          expect(largestError(out, expected)).toBeLessThan(2e-6); // nine products below 1

          // Linear in the weight: Σ conv(x, w) ⊙ dy = Σ w ⊙ taps(x, dy).
          const [dy, taps] = [numbers(x.shape, seed + 2), Tensor.empty(weight.shape)];
          run(() => depthwiseTapsWasm(taps, x, dy)?.());
          for (let tap = 0; tap < 9; tap++)
            for (let c = 0; c < C; c++) {
              const unit = Tensor.zeros(weight.shape);
              unit.data[tap * C + c] = 1;
              run(() => depthwiseConvWasm(out, x, unit)?.());
              const sum = out.toArray().reduce((total, value, i) => total + value * dy.data[i], 0);
              expect(Math.abs(taps.data[tap * C + c] - sum)).toBeLessThan(2e-5); // 128 products below 1
            }
        },
      ),
      { numRuns: 40 },
    );
  });
});
