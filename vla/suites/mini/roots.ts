import { fileURLToPath } from "node:url";

/** Name of the embedded suite. */
export const MINI = "mini";

/** The embedded suite's folders, laid out like clones of LIBERO and of robosuite. */
export const miniRoots: { readonly libero: string; readonly robosuite: string } = {
  libero: fileURLToPath(new URL("LIBERO", import.meta.url)),
  robosuite: fileURLToPath(new URL("robosuite", import.meta.url)),
};
