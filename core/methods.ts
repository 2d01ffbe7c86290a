import * as ops from "./ops/index.ts";
import { Tensor } from "./tensor.ts";

/** The ops as methods: the first argument becomes `this`. */
type Methods = {
  [Name in keyof typeof ops]: (typeof ops)[Name] extends (x: never, ...rest: infer Rest) => infer Out
    ? (...rest: Rest) => Out
    : never;
};

// The ops of core/ops/ that take a tensor first are also its methods: x.softmax() is softmax(x).
declare module "./tensor.ts" {
  interface Tensor extends Methods {}
}

for (const [name, op] of Object.entries(ops) as [string, (x: Tensor, ...rest: unknown[]) => unknown][]) {
  const arguments_ = op.length - 1;
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...rest: unknown[]) {
      // An argument that is not read, as in x.softmax(0), would be a wrong result.
      if (rest.length > arguments_)
        throw new Error(`${name}: expected ${arguments_} arguments at most, got ${rest.length}`);
      return op(this, ...rest);
    },
  });
}
