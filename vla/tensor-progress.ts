import { fromPieces, type LazyTensor, piecesOf, printable } from "../core/index.ts";

/** Shows on a terminal which tensor is being read. */
export function withProgress(tensors: ReadonlyMap<string, LazyTensor>): ReadonlyMap<string, LazyTensor> {
  if (!process.stderr.isTTY) return tensors;
  let done = 0;
  const announce = (name: string): void => {
    done++;
    process.stderr.write(
      `\r\x1b[K${done}/${tensors.size} ${printable(name)}${done === tensors.size ? "\n" : ""}`,
    );
  };
  const wrap = (name: string, tensor: LazyTensor): LazyTensor =>
    fromPieces(tensor.dtype, tensor.shape, (unit) => {
      announce(name);
      return piecesOf(tensor, unit);
    });
  return new Map([...tensors].map(([name, tensor]) => [name, wrap(name, tensor)]));
}
