import { refuse } from "../check.ts";
import { onDevice } from "../device.ts";
import { checkTensor, Tensor } from "../tensor.ts";

/** A tensor of x's shape, dtype and device, filled with one value. */
export const fullLike = (x: Tensor, value: number): Tensor => like(x, value, "fullLike");

/** Zeros of x's shape, dtype and device. */
export const zerosLike = (x: Tensor): Tensor => like(x, 0, "zerosLike");

/** Ones of x's shape, dtype and device. */
export const onesLike = (x: Tensor): Tensor => like(x, 1, "onesLike");

function like(x: Tensor, value: number, who: string): Tensor {
  checkTensor(x, who);
  if (typeof value !== "number") refuse(who, "a number", value);
  return onDevice(x.device, () => Tensor.full(x.shape, value, x.dtype));
}
