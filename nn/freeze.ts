import { refuse } from "../core/index.ts";
import { Module } from "./module.ts";

/** At most so many names are listed in an error, from all over the module. */
const SHOWN = 8;

/**
 * Freezes the parameters that one of the patterns names: they get no gradient and no update, and the way back ends
 * where nothing below is trained. In a pattern `*` stands for any characters, dots included, and `?` for one; a tied
 * parameter is named by any of its names. Optimisers and plans are made afterwards.
 *
 *     freeze(model, ["vlm.vision_tower.*", "*.bias"])
 *
 * @throws Error for a pattern that names no parameter; then nothing is frozen.
 */
export function freeze(module: Module, patterns: readonly string[]): void {
  if (!(module instanceof Module)) refuse("freeze", "a Module", module);
  if (!Array.isArray(patterns)) refuse("freeze", "an array of patterns", patterns);
  const parameters = [...module.tensors()].filter(([tensor]) => tensor.requiresGrad);
  const chosen = patterns.map((pattern) => {
    if (typeof pattern !== "string") refuse("freeze", 'patterns such as "vlm.*"', pattern);
    const named = glob(pattern);
    const found = parameters.filter(([, names]) => names.some((name) => named.test(name)));
    if (found.length > 0) return found;
    const step = Math.ceil(parameters.length / SHOWN);
    const some = parameters.filter((_, i) => i % step === 0).map(([, [name]]) => name);
    throw new Error(
      `freeze: expected the name of a parameter, or a pattern of some, found ${JSON.stringify(pattern)}; ` +
        `there are ${parameters.length}, such as ${some.join(", ")}`,
    );
  });
  for (const [tensor] of chosen.flat()) tensor.requiresGrad = false;
}

/** Matches whole names. */
function glob(pattern: string): RegExp {
  const parts: Readonly<Record<string, string>> = { "*": ".*", "?": "." };
  const source = Array.from(pattern, (letter) => parts[letter] ?? letter.replace(/[\\^$.|+()[\]{}]/, "\\$&"));
  return new RegExp(`^${source.join("")}$`, "su");
}
