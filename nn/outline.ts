import { type Device, type DType, onDevice, type Storage } from "../core/index.ts";

/**
 * Builds modules whose tensors have shapes and no numbers, however large they are: enough for `Module.checkFit`, and
 * for nothing else.
 */
export const outline = <T>(make: () => T): T => onDevice(nowhere, make);

function refuseNumbers(): never {
  throw new Error("outline: a module without numbers can neither be read nor compute");
}

/** Takes numbers and keeps none. */
const nowhere: Device = {
  name: "nowhere",
  allocate: (size: number, dtype: DType): Storage => ({
    device: nowhere,
    dtype,
    size,
    bytes: 0,
    owners: 0,
    planned: false,
    gone: false,
    data: null,
    release() {},
  }),
  fill() {},
  write() {},
  promise: refuseNumbers,
  copy: refuseNumbers,
  read: refuseNumbers,
  prepare: refuseNumbers,
  capture: refuseNumbers,
};
