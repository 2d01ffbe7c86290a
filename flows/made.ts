import { checkInteger, concat, type Tensor } from "../core/index.ts";
import { buffer, fanIn, Module, parameter } from "../nn/index.ts";
import type { ScaleShiftNet } from "./affine-coupling.ts";

export interface MadeConfig {
  /** Entries of an event, N. */
  readonly size: number;
  /** Width of the condition; 0 for a network that leaves any condition unused. */
  readonly condition: number;
  /** Width of the two hidden layers. */
  readonly width: number;
}

/**
 * A linear layer some of whose weights are held at zero: y = x (W ⊙ mask)ᵀ + b. Each input and each unit has a degree,
 * and a unit sees what `sees` allows.
 */
class MaskedLinear extends Module {
  weight: Tensor; // (outputs, inputs)
  bias: Tensor; // (outputs)
  mask: Tensor; // (outputs, inputs), 0 or 1

  constructor(
    inputs: readonly number[],
    outputs: readonly number[],
    sees: (unit: number, input: number) => boolean,
  ) {
    super();
    const shape = [outputs.length, inputs.length];
    this.weight = parameter(shape, fanIn(inputs.length));
    this.bias = parameter([outputs.length], fanIn(inputs.length));
    this.mask = buffer(shape, (mask) =>
      mask.write(outputs.flatMap((unit) => inputs.map((input) => Number(sees(unit, input))))),
    );
  }

  forward(x: Tensor): Tensor {
    return x.linear(this.weight.mul(this.mask), this.bias);
  }
}

/**
 * A masked autoencoder (MADE, arXiv:1502.03509) that gives two numbers for each entry of x, and those of entry i depend
 * on the entries before i alone, and on the condition. Entry i has degree i, from 1 on, the condition 0, and hidden
 * units those from 0 to N − 1 in turn. A hidden unit sees degrees up to its own, an output those below its own.
 * x (B, N), condition (B, C) → scale and shift, (B, N) each
 */
export class Made extends Module implements ScaleShiftNet {
  layers: MaskedLinear[];
  readonly config: MadeConfig;

  constructor(config: MadeConfig) {
    super();
    const { size, condition, width } = config;
    checkInteger(size, 1, "Made", "size");
    checkInteger(condition, 0, "Made", "condition");
    checkInteger(width, 1, "Made", "width");
    this.config = config;
    const entries = Array.from({ length: size }, (_, i) => i + 1);
    const inputs = [...entries, ...new Array<number>(condition).fill(0)];
    const hidden = Array.from({ length: width }, (_, i) => i % size);
    const upTo = (unit: number, input: number): boolean => input <= unit;
    this.layers = [
      new MaskedLinear(inputs, hidden, upTo),
      new MaskedLinear(hidden, hidden, upTo),
      new MaskedLinear(hidden, [...entries, ...entries], (unit, input) => input < unit),
    ];
  }

  get conditional(): boolean {
    return this.config.condition > 0;
  }

  forward(x: Tensor, condition?: Tensor): [scale: Tensor, shift: Tensor] {
    const { size: N, condition: C } = this.config;
    const { B } = x.dims(`B ${N}`, "Made");
    if (C > 0 && !condition) throw new Error(`Made: expected a condition (B, ${C}), got none`);
    if (C > 0) condition?.dims(`${B} ${C}`, "Made: condition");
    const seen = C > 0 && condition ? concat([x, condition], 1) : x;
    const [first, second, last] = this.layers;
    const out = last.forward(second.forward(first.forward(seen).gelu()).gelu());
    return [out.slice(1, 0, N), out.slice(1, N, 2 * N)];
  }
}
