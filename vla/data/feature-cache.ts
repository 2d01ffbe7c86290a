import { closeSync, existsSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { setImmediate } from "node:timers/promises";
import {
  type ByteSource,
  bf16ToF32,
  checkInteger,
  FormatError,
  f32ToBf16,
  makeFolder,
  openFile,
} from "../../core/index.ts";
import { Lock } from "../eval/lock.ts";
import { formatDuration, Progress } from "../eval/progress.ts";
import { checkAugmentation, drawChanges, UNCHANGED } from "./augmentation.ts";
import { allocateArrays, writeExample } from "./batch.ts";
import { ExampleSet } from "./example-set.ts";
import {
  checkFeatureHeader,
  type FeatureLayout,
  type FeatureSettings,
  type FrozenEncoder,
  featureLayout,
} from "./feature-origin.ts";
import { streamsOf } from "./order.ts";

/** Examples that are encoded together. */
const TOGETHER = 32;

/**
 * Features of a frozen encoder, computed once and kept in a file, for `copies` differently changed copies of each
 * example. Rows are read as they are asked for: the file may exceed memory. Dispose it (`using`).
 */
export class FeatureCache implements Disposable {
  /** Numbers per example. */
  readonly width: number;
  readonly copies: number;
  readonly #file: ByteSource;
  readonly #layout: FeatureLayout;
  readonly #examples: number;

  private constructor(file: ByteSource, layout: FeatureLayout, examples: number) {
    this.#file = file;
    this.#layout = layout;
    this.#examples = examples;
    this.width = layout.width;
    this.copies = layout.rows / examples;
  }

  /**
   * Opens the features at `path`, once they are made. They are made under `PATH.part`, row after row: killed at any
   * moment, the same call goes on from there, to the same bytes.
   * @throws FormatError when what lies at either name follows from anything else, such as data that has changed since.
   */
  static async open(
    path: string,
    set: ExampleSet,
    encoder: FrozenEncoder,
    settings: FeatureSettings,
  ): Promise<FeatureCache> {
    checkInteger(settings.copies, 1, "FeatureCache", "copies");
    checkInteger(settings.seed, 0, "FeatureCache", "seed");
    checkAugmentation(settings.augmentation, "FeatureCache");
    const layout = featureLayout(set, encoder, settings);
    if (!existsSync(path)) await make(path, layout, set, encoder, settings);
    const file = openFile(path);
    try {
      checkFeatureHeader(file, layout);
      const bytes = layout.header.length + layout.rows * layout.rowBytes;
      if (file.size !== bytes) throw new FormatError(path, `features of ${bytes} bytes`, `${file.size}`);
      return new FeatureCache(file, layout, set.count);
    } catch (error) {
      file[Symbol.dispose]();
      throw error;
    }
  }

  /** Writes the features of a copy of an example into `width` numbers. */
  writeRow(copy: number, example: number, out: Float32Array): void {
    const { header, rowBytes, width } = this.#layout;
    const offset = header.length + (copy * this.#examples + example) * rowBytes;
    if (rowBytes === 2 * width) out.set(bf16ToF32(new Uint16Array(this.#file.read(offset, rowBytes).buffer)));
    else this.#file.readInto(new Uint8Array(out.buffer, out.byteOffset, out.byteLength), offset);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

async function make(
  path: string,
  layout: FeatureLayout,
  set: ExampleSet,
  encoder: FrozenEncoder,
  settings: FeatureSettings,
): Promise<void> {
  makeFolder(dirname(path));
  using _ = Lock.take(path);
  if (existsSync(path)) return; // another process has made it meanwhile
  // Pictures that are kept in memory go when the features are there.
  using pictures = await ExampleSet.open(set.settings);
  const part = `${path}.part`;
  const done = rowsIn(part, layout);
  // Whole groups again, so that rows are encoded in the same company as without an end in between.
  const first = done - (done % TOGETHER);
  const fd = openSync(part, first === 0 ? "w" : "r+");
  try {
    if (first === 0) writeAt(fd, layout.header, 0);
    for await (const { row, bytes } of encodeRows(first, layout, pictures, encoder, settings))
      writeAt(fd, bytes, layout.header.length + row * layout.rowBytes);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(part, path);
}

/** Rows that a file holds in full; none for a file that ends within its header. */
function rowsIn(part: string, layout: FeatureLayout): number {
  if (!existsSync(part)) return 0;
  using file = openFile(part);
  const { header, rowBytes } = layout;
  if (
    file.size < header.length &&
    Buffer.compare(file.read(0, file.size), header.subarray(0, file.size)) === 0
  )
    return 0;
  checkFeatureHeader(file, layout);
  return Math.floor((file.size - header.length) / rowBytes);
}

/** Rows from `first` on, some at a time, with a turn for others in between. */
async function* encodeRows(
  first: number,
  { rows, width }: FeatureLayout,
  set: ExampleSet,
  encoder: FrozenEncoder,
  { type, seed, augmentation }: FeatureSettings,
): AsyncGenerator<{ row: number; bytes: Uint8Array }> {
  const streams = streamsOf(seed, "changes of copies");
  const arrays = allocateArrays(set, TOGETHER, encoder.imageSize);
  const progress = new Progress(1);
  const start = performance.now();
  for (let row = first; row < rows; row += TOGETHER) {
    for (let b = 0; b < TOGETHER; b++) {
      const at = Math.min(row + b, rows - 1); // the last group is filled up with its last row
      const changes = at < set.count ? UNCHANGED : drawChanges(augmentation, streams(at));
      writeExample(set, encoder.imageSize, at % set.count, changes, arrays, b);
    }
    const kept = Math.min(TOGETHER, rows - row);
    const features = encoder.encode(arrays);
    check(features, width, arrays.examples);
    const values = features.slice(0, kept * width);
    const numbers = type === "float32" ? values : f32ToBf16(values);
    yield { row, bytes: new Uint8Array(numbers.buffer) };
    const left = ((performance.now() - start) / (row + kept - first)) * (rows - row - kept);
    progress.note(`features ${row + kept}/${rows}  ETA ${formatDuration(left)}`);
    await setImmediate();
  }
  progress.clear();
}

function check(features: Float32Array, width: number, examples: Int32Array): void {
  const expected = examples.length * width;
  if (features.length !== expected)
    throw new Error(`FeatureCache: expected ${expected} features of the encoder, got ${features.length}`);
  const wrong = features.findIndex((value) => !Number.isFinite(value));
  if (wrong !== -1)
    throw new Error(
      `FeatureCache: expected finite features, got ${features[wrong]} for example ${examples[Math.floor(wrong / width)]}`,
    );
}

function writeAt(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}
