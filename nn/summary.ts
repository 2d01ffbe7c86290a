import { refuse, showShape, type Tensor } from "../core/index.ts";
import { Module } from "./module.ts";
import { storedAs } from "./sealed.ts";

/** A line of the table. */
type Row = readonly [what: string, shape: string, numbers: string, bytes: string, note: string];

/**
 * What a module is made of, as a table to print: every module with its class, every tensor with its shape, how many
 * numbers it holds and how many bytes they take, and whether it is trained. A tensor under several names counts once.
 *
 *     console.log(summary(model));
 */
export function summary(module: Module): string {
  if (!(module instanceof Module)) refuse("summary", "a Module", module);
  const modules = [...module.namedModules()];
  const first = new Map([...module.tensors()].map(([tensor, [name]]) => [tensor, name]));
  const owned = new Map<string, [name: string, tensor: Tensor][]>(modules.map(([path]) => [path, []]));
  for (const [name, tensor] of module.namedTensors()) {
    const owner = ownerOf(name, owned);
    owned.get(owner)?.push([name, tensor]);
  }
  const rows = modules.flatMap(([path, one]): Row[] => {
    const depth = path === "" ? 0 : path.split(".").length;
    const label = `${"  ".repeat(depth)}${path === "" ? "" : `${path.split(".").at(-1)}: `}${one.constructor.name}`;
    const tensors = owned.get(path) ?? [];
    return [
      [label, "", "", "", ""],
      ...tensors.map(([name, tensor]): Row => {
        const own = path === "" ? name : name.slice(path.length + 1);
        const what = `${"  ".repeat(depth + 1)}${own}`;
        const shape = showShape(storedAs(tensor)?.shape ?? tensor.shape);
        const tied = first.get(tensor);
        if (tied !== name) return [what, shape, "", "", `is ${tied}`];
        return [what, shape, grouped(tensor.size), grouped(tensor.storage.bytes), kindOf(tensor)];
      }),
    ];
  });
  return `${table([["", "shape", "numbers", "bytes", ""], ...rows])}\n\n${totals([...first.keys()])}`;
}

/** The path of the module that a tensor belongs to: the longest one that its name begins with. */
function ownerOf(name: string, paths: ReadonlyMap<string, unknown>): string {
  let path = name;
  while (path !== "" && !paths.has(path)) path = path.slice(0, Math.max(0, path.lastIndexOf(".")));
  return path;
}

function kindOf(tensor: Tensor): string {
  const { sealed } = tensor.storage;
  if (sealed) return `sealed as ${sealed.format}`;
  const type = tensor.dtype === "float32" ? "" : tensor.dtype;
  return [type, tensor.requiresGrad ? "" : "not trained"].filter(Boolean).join(", ");
}

function totals(tensors: readonly Tensor[]): string {
  const count = (list: readonly Tensor[]): string => grouped(list.reduce((sum, { size }) => sum + size, 0));
  const trained = tensors.filter(({ requiresGrad }) => requiresGrad);
  const rest = tensors.filter(({ requiresGrad }) => !requiresGrad);
  const bytes = grouped(tensors.reduce((sum, { storage }) => sum + storage.bytes, 0));
  return `${count(trained)} numbers are trained, ${count(rest)} are not; ${bytes} bytes in all`;
}

/** 1234567 → "1,234,567" */
const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ",");

/** Rows in columns, numbers to the right. */
function table(rows: readonly Row[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const isRight = (column: number): boolean => column === 2 || column === 3;
  return rows
    .map((row) =>
      row
        .map((text, i) => (isRight(i) ? text.padStart(widths[i]) : text.padEnd(widths[i])))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
