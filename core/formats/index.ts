export { type ByteSource, bytesSource } from "./byte-source.ts";
export { countElements, type DTypeName, type HostTensor, itemSize, type TypedArray } from "./dtype.ts";
export { FormatError } from "./format-error.ts";
export { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16, toFloat32 } from "./half.ts";
export { floatPieces, fromPieces, type LazyTensor, piecesOf, SCALES, withScales } from "./lazy-tensor.ts";
export { NumpyArray } from "./numpy-pickle.ts";
export { OrderedDict, Stub } from "./pickle.ts";
export { printable } from "./printable.ts";
export {
  openSafetensors,
  readSafetensors,
  type SafetensorsFile,
  type TensorInfo,
  writeSafetensors,
  writeSafetensorsInTurns,
} from "./safetensors.ts";
export { openTensors, TENSOR_FILES, type TensorFile } from "./tensor-file.ts";
export { openTorch, readNumpy, stateDict, TensorRef, type TorchFile } from "./torch.ts";
