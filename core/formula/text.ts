/** What the printers of formulas have in common: plain TypeScript (js.ts) and GPU.js (gpu/print.ts) look alike. */
import type { Variable } from "./indices.ts";

/** The name of a counter in the text: that of "b0:12" is b0. */
export const nameOf = (variable: Variable): string => variable.name.split(":")[0];

export const OPERATORS = { add: "+", sub: "-", mul: "*", div: "/" };
export const COMPARISONS = { less: "<", equal: "===" };

export const indent = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);
