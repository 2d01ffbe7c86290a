import type {
  Computation,
  Device,
  Program,
  Promised,
  Ready,
  Step,
  Storage,
  TensorView,
  Trace,
} from "../../core/device.ts";
import { ARRAYS, bytesOf, type DType, type TensorData } from "../../core/dtype.ts";
import { plainKernel } from "../../core/formula/plain.ts";

/**
 * A device that has nothing in common with the CPU's heap and hides its numbers: plain arrays that only `read` copies
 * out. What runs here knows no other device.
 */
export class Mirror implements Device {
  readonly name = "mirror";
  /** Storages that hold numbers. */
  live = 0;

  allocate(size: number, dtype: DType): MirrorStorage {
    const storage = new MirrorStorage(this, size, dtype, false);
    storage.take();
    return storage;
  }
  promise(size: number, dtype: DType): MirrorStorage {
    return new MirrorStorage(this, size, dtype, true);
  }
  fill(storage: Storage, value: number): void {
    numbersOf(storage).fill(value);
  }
  write(storage: Storage, numbers: ArrayLike<number>): void {
    numbersOf(storage).set(numbers);
  }
  copy(from: Storage, to: Storage): void {
    numbersOf(to).set(numbersOf(from));
  }
  async read(storage: Storage): Promise<TensorData> {
    await new Promise((resolve) => setTimeout(resolve)); // others have their turn
    return numbersOf(storage).slice();
  }
  prepare<A>(op: Computation<A>, out: TensorView, ins: readonly TensorView[], attrs: A): Ready {
    return plainKernel(op, seen(out), ins.map(seen), attrs);
  }
  capture(trace: Trace): Program {
    return new MirrorProgram(this, trace);
  }
}

class MirrorStorage implements Promised {
  readonly device: Mirror;
  readonly size: number;
  readonly dtype: DType;
  readonly planned: boolean;
  readonly data = null;
  owners = 0;
  gone = false;
  hidden: TensorData | null = null;

  constructor(device: Mirror, size: number, dtype: DType, planned: boolean) {
    this.device = device;
    this.size = size;
    this.dtype = dtype;
    this.planned = planned;
  }
  get bytes(): number {
    return bytesOf(this.dtype) * this.size;
  }
  take(): void {
    this.hidden = new ARRAYS[this.dtype](this.size);
    this.device.live++;
  }
  letGo(): void {
    this.hidden = null;
    this.device.live--;
  }
  takeAway(): void {
    if (this.hidden) this.letGo();
    this.gone = true;
  }
  release(): void {
    if (!this.planned) this.letGo();
  }
}

function numbersOf(storage: Storage): TensorData {
  const { hidden } = storage as MirrorStorage;
  if (!hidden) throw new Error("Mirror: used without room");
  return hidden;
}

/** The same block, its numbers open to the plain kernels. */
const seen = ({ shape, dtype, size, storage }: TensorView): TensorView => ({
  shape,
  dtype,
  size,
  storage,
  get data() {
    return numbersOf(storage);
  },
});

/** The calls one after the other, every result in a storage of its own. */
class MirrorProgram implements Program {
  readonly length: number;
  readonly bytes: number;
  readonly #inputs: readonly TensorView[];
  readonly #calls: readonly Ready[];
  #storages: readonly MirrorStorage[];

  constructor(device: Mirror, { steps, inputs }: Trace) {
    const blocks = [...inputs, ...steps.map(({ out }) => out)];
    this.#storages = [...new Set(blocks.map((x) => x.storage as MirrorStorage))];
    for (const storage of this.#storages) storage.take();
    this.#calls = steps.map(({ op, out, ins, attrs }: Step) => device.prepare(op, out, ins, attrs));
    this.#inputs = inputs;
    this.length = steps.length;
    this.bytes = this.#storages.reduce((sum, { bytes }) => sum + bytes, 0);
  }
  run(inputs: readonly TensorView[]): void {
    const given = inputs.map((x) => numbersOf(x.storage).slice());
    given.forEach((numbers, i) => {
      numbersOf(this.#inputs[i].storage).set(numbers);
    });
    for (const call of this.#calls) call();
  }
  dispose(): void {
    for (const storage of this.#storages) {
      storage.takeAway();
    }
    this.#storages = [];
  }
}
