/**
 * A kernel from formula to WebAssembly: `npx tsx examples/kernel.ts`
 *
 * An op says what one element of its result is. Kernels are printed from that: loops in JavaScript that say what the op
 * means, and SIMD code that does it four numbers at a time. Below, the formula of softsign, the loops that core prints
 * from it, the SIMD code that core emits, and that code once more, written by hand with core's own assembler.
 */
import {
  apply,
  compiledKernels,
  defineElementwise,
  type Expr,
  each,
  F32x4,
  grad,
  I32,
  Library,
  load,
  Nothing,
  Operand,
  plainKernels,
  printed,
  Random,
  sample,
} from "nina-ts";

// 1. The formula: x / (1 + |x|). It is a tree of operations, built by calling its methods.
const formula = (x: Expr): Expr => x.div(x.abs().add(1));
const softsign = defineElementwise({
  name: "softsign",
  inputs: 1,
  formula: ([x]) => formula(x),
  samples: [{ ...sample([2, 5]), range: [0.1, 4] }], // not smooth at 0
});

// 2. The loops that are printed from it, here for a matrix.
const result = (x: Operand): Operand => each(x.shape, (row, column) => formula(x.at(row, column)));
console.log(printed(result(Operand.input(0, [3, 4]))).join("\n"));

// 3. Running it. Inside `plainKernels` the printed loops compute; outside, the emitted SIMD code, which rounds each
// operation to float32 where the loops round once at the end. The gradient is derived from the formula as well.
const x = new Random(0).normals([1000]).tracked();
const simd = apply(softsign, [x], []);
const emitted = compiledKernels().at(-1); // the last one that was compiled
const plain = plainKernels(() => apply(softsign, [x], []));
const apart = Math.max(...plain.sub(simd).toArray().map(Math.abs));
console.log(`plain loops and SIMD code differ by at most ${apart.toExponential(1)}`);
const code = emitted?.text.split("\n") ?? [];
const middle = code.findIndex((line) => line.includes("f32x4.abs"));
console.log(
  `of the ${emitted?.bytes} bytes of SIMD code for ${emitted?.call}:\n${code.slice(middle - 1, middle + 9).join("\n")}`,
);
const [slope] = grad(simd.sum(), [x]);
console.log(`slope at ${x.data[0].toFixed(3)}: ${slope?.data[0].toFixed(6)}`);

// 4. By hand. An expression is a stretch of bytes that leaves a value on WebAssembly's stack; a function appends
// statements.
const library = new Library();
library.define("softsign", [I32, I32, I32], Nothing, (f, from, end, to) => {
  const one = f.constant(1);
  f.repeatWhile(
    () => {
      const v = f.let(load(F32x4, from));
      f.store(to, v.div(v.abs().add(one)));
      f.bump(from, 16); // four numbers of four bytes
      f.bump(to, 16);
    },
    () => from.lt(end),
  );
});
const bytes = library.bytes({ minimum: 1, maximum: 1, shared: true });
const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0"));
console.log(`a module of ${bytes.length} bytes: ${hex.slice(0, 8).join(" ")} ...`);

const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
const numbers = new Float32Array(memory.buffer);
numbers.set(x.data);
(exports.softsign as (from: number, end: number, to: number) => void)(0, 4000, 4096);
const equal = simd.toArray().every((value, i) => Object.is(value, numbers[1024 + i]));
console.log(`by hand, the same bits as core's: ${equal}`);
