import {
  checkFunction,
  floatPieces,
  type HostTensor,
  type LazyTensor,
  refuse,
  type Shape,
  sizeOf,
  Tensor,
  tidy,
  WEIGHT_BYTES,
  type WeightFormat,
} from "../core/index.ts";
import { counted, declaredDType, type Initialiser, parameter } from "./parameter.ts";

/** What weights are sealed as inside `forInference`. */
let packing: WeightFormat | null = null;

/**
 * Builds modules for inference alone: weights of products are kept in `format`, laid out for the kernels that read
 * them, and nothing is kept beside that. `load` fills them, tensor by tensor. To be trained, drawn or saved, modules
 * are built without this; those of float64 stay as they are.
 */
export function forInference<T>(format: WeightFormat, make: () => T): T {
  if (!Object.hasOwn(WEIGHT_BYTES, format))
    refuse("forInference", Object.keys(WEIGHT_BYTES).join(" or "), format);
  checkFunction(make, "forInference", "make");
  const before = packing;
  packing = format;
  try {
    return make();
  } finally {
    packing = before;
  }
}

/** How files store a sealed weight: its shape there, and the order of those axes that makes it (outputs, inputs). */
export interface Stored {
  readonly shape: Shape;
  readonly order: readonly number[];
}

const stored = new WeakMap<Tensor, Stored>();

/** How files store a weight that was built sealed; undefined for all other tensors, which lie there as they do here. */
export const storedAs = (tensor: Tensor): Stored | undefined => stored.get(tensor);

/**
 * A parameter of this shape that only products x Wᵀ and `gatherRows` read. Inside `forInference` it is sealed: its axes
 * in `order`, all but the first made one, are (outputs, inputs).
 */
export function weightParameter(
  shape: Shape,
  init: Initialiser,
  order: readonly number[] = shape.map((_, axis) => axis),
): Tensor {
  const format = packing;
  if (format === null || declaredDType() !== "float32") return parameter(shape, init);
  const outputs = shape[order[0]];
  const sealed: Shape = [outputs, sizeOf(shape) / outputs];
  const tensor = counted("weightParameter", shape, () => Tensor.sealed(sealed, format));
  stored.set(tensor, { shape, order });
  return tensor;
}

/** Fills a sealed weight with what a file holds, some rows at a time where they lie there as rows. */
export function setStored(
  tensor: Tensor,
  { shape, order }: Stored,
  from: HostTensor | LazyTensor,
  who: string,
): void {
  const inputs = tensor.shape[1];
  const isInOrder = order.every((axis, i) => axis === i);
  let at = 0;
  for (const piece of floatPieces(who, from, order[0] === 0 ? inputs : tensor.size)) {
    const given = order[0] === 0 ? shape.with(0, piece.length / inputs) : shape;
    if (isInOrder) tensor.writePart(at, piece);
    else tidy(() => tensor.writePart(at, Tensor.from(piece, given).permute(order).data));
    at += piece.length;
  }
}
