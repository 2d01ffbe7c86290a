import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { FormatError } from "../../core/index.ts";
import type { Demonstrations } from "./demonstrations.ts";
import { LiberoDemonstrations } from "./libero-hdf5.ts";

/** A way to store demonstrations. */
export interface Format {
  /** Shown in messages. */
  readonly name: string;
  /** Whether a file of that name can be one of this format's. */
  claims(file: string): boolean;
  /** Whether a file of that name is one of a folder's demonstrations; what else lies there is passed over. */
  inFolder(file: string): boolean;
  open(path: string): Promise<Demonstrations>;
}

const liberoHdf5: Format = {
  name: "LIBERO's HDF5",
  claims: (file) => file.endsWith(".hdf5"),
  inFolder: (file) => file.endsWith("_demo.hdf5"),
  open: LiberoDemonstrations.open,
};

/** The formats that are read. This is the door for others: one that is listed here opens wherever demonstrations do. */
const FORMATS: readonly Format[] = [liberoHdf5];

/**
 * The files of demonstrations that a path stands for, all of one format: itself, or those of a folder and the folders
 * in it, in the order of their names.
 * @throws FormatError when there are none, or of several formats.
 */
export function demonstrationFiles(path: string, formats: readonly Format[] = FORMATS): string[] {
  const known = formats.map(({ name }) => name).join(" or ");
  if (!statSync(path, { throwIfNoEntry: false }))
    throw new FormatError(path, `demonstrations (${known})`, "no such file or folder");
  const files = statSync(path).isDirectory()
    ? readdirSync(path, { recursive: true, encoding: "utf8" })
        .filter((name) => formats.some(({ inFolder }) => inFolder(name)))
        .sort()
        .map((name) => join(path, name))
    : [path];
  if (files.length === 0) throw new FormatError(path, `a folder of demonstrations (${known})`, "none in it");
  const found = [...new Set(files.map((file) => formatOf(file, formats).name))];
  if (found.length > 1) throw new FormatError(path, "demonstrations of one format", found.join(" and "));
  return files;
}

/** Opens one file in the format that its name tells. Dispose what comes back. */
export function openDemonstrations(path: string): Promise<Demonstrations> {
  return formatOf(path, FORMATS).open(path);
}

function formatOf(path: string, formats: readonly Format[]): Format {
  const format = formats.find(({ claims }) => claims(path));
  if (format) return format;
  throw new FormatError(path, formats.map(({ name }) => name).join(" or "), "another file");
}
