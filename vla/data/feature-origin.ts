import { statSync } from "node:fs";
import { basename } from "node:path";
import { type ByteSource, FormatError } from "../../core/index.ts";
import type { Augmentation } from "./augmentation.ts";
import type { BatchArrays } from "./batch.ts";
import type { ExampleSet } from "./example-set.ts";

/** An encoder whose weights do not change. */
export interface FrozenEncoder {
  /** Tells its weights from all others; see `weightsChecksum`. */
  readonly id: string;
  /** Side of the pictures that it takes, S. */
  readonly imageSize: number;
  /** Shape of one example's features: (d) when they are pooled, (tokens, d) when they are not. */
  readonly shape: readonly number[];
  /** Features (B, …shape) of pictures; the instruction of row b is that of example `examples[b]`. */
  encode(batch: BatchArrays): Float32Array;
}

export interface FeatureSettings {
  /** How often each example is encoded: copy 0 as it is, the others changed, each in its own way. */
  readonly copies: number;
  readonly augmentation: Augmentation;
  /** Draws the changes. An integer in [0, 2^53). */
  readonly seed: number;
  /** How numbers are stored; bfloat16 halves the file and keeps 8 bits of each number. */
  readonly type: "float32" | "bfloat16";
}

/** How a file of features lies on disk. */
export interface FeatureLayout {
  /** What comes before the rows: see `featureLayout`. */
  readonly header: Uint8Array;
  /** Numbers per row. */
  readonly width: number;
  readonly rowBytes: number;
  /** Row (copy · examples + example). */
  readonly rows: number;
}

const DTYPES = { float32: "F32", bfloat16: "BF16" } as const;
const FOLLOWS = "follows from";

/**
 * A safetensors file with one tensor `features` (copies, examples, …shape). Its metadata tell all that the numbers
 * follow from, so the same header means the same numbers.
 */
export function featureLayout(
  set: ExampleSet,
  encoder: FrozenEncoder,
  settings: FeatureSettings,
): FeatureLayout {
  const width = encoder.shape.reduce((product, n) => product * n, 1);
  const rows = settings.copies * set.count;
  const rowBytes = width * (settings.type === "float32" ? 4 : 2);
  const text = Buffer.from(
    JSON.stringify({
      __metadata__: { [FOLLOWS]: JSON.stringify(originOf(set, encoder, settings)) },
      features: {
        dtype: DTYPES[settings.type],
        shape: [settings.copies, set.count, ...encoder.shape],
        data_offsets: [0, rows * rowBytes],
      },
    }),
  );
  // As safetensors begins: the length of what follows, then JSON, padded so that numbers are aligned.
  const header = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, " ");
  header.writeBigUInt64LE(BigInt(header.length - 8));
  text.copy(header, 8);
  return { header, width, rowBytes, rows };
}

function originOf(set: ExampleSet, encoder: FrozenEncoder, settings: FeatureSettings): object {
  const { pairing, split = "all" } = set.settings;
  const { copies, augmentation, seed } = settings;
  return {
    files: set.files.map((file) => {
      const { size, mtimeMs } = statSync(file);
      return `${basename(file)} of ${new Date(Math.floor(mtimeMs)).toISOString()}, ${size} bytes`;
    }),
    pairing,
    split,
    encoder: encoder.id,
    imageSize: encoder.imageSize,
    ...(copies > 1 ? { augmentation, seed } : {}), // a plain copy follows from no chance
  };
}

/** Throws unless a file begins with the header of such a layout; tells the first thing that differs. */
export function checkFeatureHeader(file: ByteSource, { header }: FeatureLayout): void {
  const found = readHeader(file);
  if (Buffer.compare(header, found) === 0) return;
  const [expected, other] = [header, found].map(describe);
  const key = Object.keys(expected).find((name) => expected[name] !== other[name]);
  if (key === undefined || Object.keys(other).length === 0)
    throw new FormatError(file.name, "features (delete it to have them made)", "another file");
  throw new FormatError(
    file.name,
    `features with ${key} ${expected[key]} (delete it to have them made anew)`,
    other[key] ?? "none",
  );
}

const MOST_HEADER_BYTES = 2 ** 24;

/** The length that a file begins with, and as much after it; less when the file ends before. */
function readHeader(file: ByteSource): Uint8Array {
  if (file.size < 8) return new Uint8Array(0);
  const length = Number(new DataView(file.read(0, 8).buffer).getBigUint64(0, true));
  return file.read(0, Math.min(8 + length, file.size, MOST_HEADER_BYTES));
}

/** What a header says, each thing as text; empty for another file's. */
function describe(header: Uint8Array): Record<string, string> {
  try {
    const { __metadata__, features } = JSON.parse(Buffer.from(header.subarray(8)).toString());
    const said = { ...JSON.parse(__metadata__[FOLLOWS]), type: features.dtype, shape: features.shape };
    return Object.fromEntries(Object.entries(said).map(([key, value]) => [key, JSON.stringify(value)]));
  } catch {
    return {};
  }
}
