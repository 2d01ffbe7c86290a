export { type ByteSource, bytesSource, openFile } from "./byte-source.ts";
export * from "./dtype.ts";
export { FormatError } from "./format-error.ts";
export { NumpyArray } from "./numpy-pickle.ts";
export { OrderedDict, Stub } from "./pickle.ts";
export { openTorch, readNumpy, stateDict, TensorRef, type TorchFile } from "./torch.ts";
