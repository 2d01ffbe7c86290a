/**
 * Models of one operator in the ONNX format, as bytes: what onnxruntime can load. ONNX is protocol buffers; field
 * numbers are those of onnx.proto.
 */

type Field = readonly [number: number, value: number | string | Uint8Array];

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return [...bytes, rest];
}

function message(fields: readonly Field[]): Uint8Array {
  const parts = fields.map(([number, value]) => {
    if (typeof value === "number") return Uint8Array.from([...varint(number << 3), ...varint(value)]);
    const body = typeof value === "string" ? new TextEncoder().encode(value) : value;
    return Buffer.concat([Uint8Array.from([...varint((number << 3) | 2), ...varint(body.length)]), body]);
  });
  return Buffer.concat(parts);
}

const FLOAT = 1;

/** A named value of float32 type and the given shape. */
function valueInfo(name: string, shape: readonly number[]): Uint8Array {
  const dims = shape.map((length): Field => [1, message([[1, length]])]);
  const tensor = message([
    [1, FLOAT],
    [2, message(dims)],
  ]);
  return message([
    [1, name],
    [2, message([[1, tensor]])],
  ]);
}

export interface OneOp {
  readonly op: string;
  readonly input: readonly number[];
  readonly output: readonly number[];
  /** Constant inputs after the first. */
  readonly constants?: readonly { readonly shape: readonly number[]; readonly data: Float32Array }[];
  /** Integer attributes. */
  readonly attributes?: Readonly<Record<string, number>>;
}

/** A model with input "x", output "y" and one node of operator set 20. */
export function onnxModel({ op, input, output, constants = [], attributes = {} }: OneOp): Uint8Array {
  const INT = 2;
  const node = message([
    ...["x", ...constants.map((_, i) => `c${i}`)].map((name): Field => [1, name]),
    [2, "y"],
    [4, op],
    ...Object.entries(attributes).map(
      ([name, value]): Field => [
        5,
        message([
          [1, name],
          [3, value],
          [20, INT],
        ]),
      ],
    ),
  ]);
  const initializers = constants.map(({ shape, data }, i): Field => {
    const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return [5, message([...shape.map((length): Field => [1, length]), [2, FLOAT], [8, `c${i}`], [9, raw]])];
  });
  const graph = message([
    [1, node],
    [2, "one op"],
    ...initializers,
    [11, valueInfo("x", input)],
    [12, valueInfo("y", output)],
  ]);
  return message([
    [1, 9],
    [7, graph],
    [
      8,
      message([
        [1, ""],
        [2, 20],
      ]),
    ],
  ]);
}
