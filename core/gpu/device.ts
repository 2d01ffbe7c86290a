import {
  type Computation,
  type Device,
  GONE,
  type Program,
  type Promised,
  type Ready,
  type Storage,
  type TensorView,
  type Trace,
} from "../device.ts";
import { ARRAYS, type DType, type TensorData } from "../dtype.ts";
import { keyOf, plainKernel, resultsOf } from "../formula/plain.ts";
import { showShape, sizeOf } from "../shape.ts";
import type { Gpu, GpuUsage, KernelText, Slot } from "./gpu.ts";
import { LARGEST_COUNT } from "./print.ts";
import { GpuProgram } from "./program.ts";
import { type From, type Recipe, recipeOf } from "./recipe.ts";
import { GpuStorage, Result } from "./storage.ts";

/** Calls that are kept for an op; programs use a few, random tests thousands. */
const MOST = 1000;

/**
 * A GPU, or what stands for one, behind GPU.js. Every op becomes launches of kernels that are printed from its formula,
 * and every launch a new result: numbers that were computed once stay as they are, and a copy costs nothing. Calls only
 * ask for work; `read` waits for it.
 */
export class GpuDevice implements Device {
  readonly name: string;
  readonly #gpu: Gpu;
  readonly #recipes = new WeakMap<object, Map<string, Recipe>>();
  readonly #fills = new Map<number, KernelText>();
  readonly #kept = new WeakMap<TensorData, Result>();
  readonly #seen = new WeakSet<TensorData>();
  readonly #forgotten = new FinalizationRegistry<Result>((result) => result.letGo());
  #slots = 0;
  readonly #free = (slot: Slot): void => this.#gpu.free(slot);
  /** What an array without numbers is to a kernel. */
  readonly #nothing: Result;

  constructor(gpu: Gpu) {
    this.name = `gpu:${gpu.mode}`;
    this.#gpu = gpu;
    this.#nothing = this.#uploaded(new Float32Array(1)).hold();
  }

  /** What really computes. */
  get driver(): string {
    return this.#gpu.driver;
  }

  /** Totals since it was opened. */
  usage(): GpuUsage {
    return this.#gpu.usage();
  }

  /** Frees all that it holds; its tensors cannot be used any more. */
  close(): Promise<void> {
    return this.#gpu.close();
  }

  allocate(size: number, dtype: DType): Storage {
    if (dtype === "float64") throw new Error(`${this.name}: expected float32 or int32, got float64`);
    return this.#storage(size, dtype, false);
  }

  promise(size: number, dtype: DType): Promised {
    return this.#storage(size, dtype, true);
  }

  #storage(size: number, dtype: DType, planned: boolean): GpuStorage {
    const storage = new GpuStorage(this, size, dtype, planned);
    if (dtype === "int32") storage.host = new Int32Array(size);
    return storage;
  }

  fill(storage: GpuStorage, value: number): void {
    if (storage.dtype === "int32") {
      storage.host = new Int32Array(storage.size).fill(value);
      storage.take(null);
    } else if (storage.size > 0) storage.take(this.#filled(storage.size, value));
  }

  #filled(size: number, value: number): Result {
    let kernel = this.#fills.get(size);
    if (!kernel) {
      const source = "function (p0) { return p0; }";
      kernel = { name: `fill (${size})`, source, functions: [], arrays: [], size };
      this.#fills.set(size, kernel);
    }
    return this.#launched(kernel, [], [value]);
  }

  write(storage: GpuStorage, numbers: ArrayLike<number>): void {
    if (storage.dtype === "int32") {
      storage.host = Int32Array.from(numbers);
      storage.take(null);
    } else if (storage.size > 0) storage.take(this.#uploaded(Float32Array.from(numbers)));
  }

  copy(from: GpuStorage, to: GpuStorage): void {
    to.share(from);
  }

  async read(storage: GpuStorage): Promise<TensorData> {
    if (storage.host) return storage.host.slice();
    if (storage.size === 0) return new ARRAYS[storage.dtype](0);
    const numbers = await this.#gpu.read(this.resultOf(storage).slot);
    return storage.dtype === "int32" ? Int32Array.from(numbers) : numbers;
  }

  /** What a kernel reads in a storage's place. */
  resultOf(storage: GpuStorage): Result {
    if (storage.size === 0) return this.#nothing;
    if (storage.gone) throw new Error(`Tensor of ${storage.size} numbers: ${GONE}`);
    if (!storage.result)
      storage.take(
        storage.host ? this.#uploaded(Float32Array.from(storage.host)) : this.#filled(storage.size, 0),
      );
    return storage.result as Result;
  }

  prepare<A>(op: Computation<A>, out: TensorView, ins: readonly TensorView[], attrs: A): Ready {
    for (const x of [out, ...ins]) {
      if (x.size > LARGEST_COUNT)
        throw new Error(
          `${op.name}: expected at most ${LARGEST_COUNT} numbers on ${this.name}, which counts in float32, ` +
            `got ${showShape(x.shape)}`,
        );
    }
    if (!op.formula && !op.updated)
      throw new Error(`${op.name}: has no formula, so ${this.name} cannot compute it`);
    if (out.dtype !== "int32") return this.#onDevice(op, out, ins, attrs);
    // Whole numbers are computed where they are kept, all digits of them. Plans may be given others than they were made
    // with.
    let [here, there]: (Ready | undefined)[] = [];
    return () => {
      if (ins.every(isOnHost)) (here ??= this.#onHost(op, out, ins, attrs))();
      else (there ??= this.#onDevice(op, out, ins, attrs))();
    };
  }

  #onDevice<A>(op: Computation<A>, out: TensorView, ins: readonly TensorView[], attrs: A): Ready {
    const recipe = this.#recipe(op, out, ins, attrs);
    const from = ins.map((x) => x.storage as GpuStorage);
    const to = op.updates?.map((i) => from[i]) ?? [out.storage as GpuStorage];
    return () => {
      if (ins.every((x) => x.dtype !== "int32" || isOnHost(x))) op.check?.(ins.map(onHost), attrs);
      const params = op.params?.(attrs) ?? [];
      const inputs = from.map((storage) => this.resultOf(storage));
      const hosted = (op.hosted?.(ins, attrs) ?? []).map(({ numbers }) => this.#hosted(numbers()).hold());
      const made = this.#run(recipe, [...inputs, ...hosted], params);
      recipe.results.forEach((step, i) => {
        to[i].host = null;
        to[i].take(made[step]);
      });
      for (const result of [...made, ...hosted]) result.letGo();
    };
  }

  #onHost<A>(op: Computation<A>, out: TensorView, ins: readonly TensorView[], attrs: A): Ready {
    const to = out.storage as GpuStorage;
    const kernel = plainKernel(op, onHost(out), ins.map(onHost), attrs);
    return () => {
      to.host ??= new Int32Array(to.size);
      op.check?.(ins.map(onHost), attrs);
      kernel();
      to.take(null);
    };
  }

  #recipe<A>(op: Computation<A>, out: TensorView, ins: readonly TensorView[], attrs: A): Recipe {
    let known = this.#recipes.get(op);
    if (!known) this.#recipes.set(op, (known = new Map()));
    const key = keyOf(op, out, ins, attrs);
    let recipe = known.get(key);
    if (!recipe) {
      if (known.size === MOST) known.clear();
      const shapes = ins.map(({ shape }) => showShape(shape)).join(" ");
      const sizes = [...ins, ...(op.hosted?.(ins, attrs) ?? [])].map(({ shape }) => sizeOf(shape));
      recipe = recipeOf(resultsOf(op, ins, attrs), sizes, `${op.name} ${shapes}`);
      known.set(key, recipe);
    }
    return recipe;
  }

  /** Launches an op's kernels: the results of all, which are held until the caller lets go. */
  #run({ steps }: Recipe, inputs: readonly Result[], params: readonly number[]): Result[] {
    const made: Result[] = [];
    const resultOf = (from: From): Result =>
      from === null ? this.#nothing : "input" in from ? inputs[from.input] : made[from.step];
    for (const { kernel, arrays, params: taken } of steps) {
      const numbers = taken.map((i) => params[i]);
      made.push(this.#launched(kernel, arrays.map(resultOf), numbers).hold());
    }
    return made;
  }

  #launched(kernel: KernelText, arrays: readonly Result[], params: readonly number[]): Result {
    const slot = this.#slots++;
    this.#gpu.launch(
      kernel,
      slot,
      arrays.map((x) => x.slot),
      params,
    );
    return new Result(slot, this.#free);
  }

  #uploaded(numbers: Float32Array): Result {
    const slot = this.#slots++;
    this.#gpu.upload(slot, numbers);
    return new Result(slot, this.#free);
  }

  /** Numbers that the host made for an op. What is seen a second time stays on the device as long as on the host. */
  #hosted(numbers: TensorData): Result {
    const kept = this.#kept.get(numbers);
    if (kept) return kept;
    const result = this.#uploaded(Float32Array.from(numbers));
    if (this.#seen.has(numbers)) {
      this.#kept.set(numbers, result.hold());
      this.#forgotten.register(numbers, result);
    } else this.#seen.add(numbers);
    return result;
  }

  capture(trace: Trace): Program {
    return new GpuProgram(this, trace);
  }
}

/** Whether it holds whole numbers that the host has. */
const isOnHost = (x: TensorView): boolean => (x.storage as GpuStorage).host !== null;

/** The same for the host, which looks at the numbers of int32 tensors: to check row numbers, and to compute. */
function onHost(x: TensorView): TensorView {
  const { shape, dtype, size, storage } = x;
  return {
    shape,
    dtype,
    size,
    storage,
    get data(): TensorData {
      return (storage as GpuStorage).host ?? x.data;
    },
  };
}
