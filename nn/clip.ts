import {
  checkPositive,
  checkTensor,
  concat,
  noGrad,
  refuse,
  scaleInPlace,
  type Tensor,
  tidy,
  unscoped,
} from "../core/index.ts";

/** Gradients as `grad` gives them: null for a parameter without one. */
export type Gradients = readonly (Tensor | null)[];

/** √Σ g² over all gradients, which may be on any device: their own norms are read in one piece. */
export async function gradientNorm(gradients: Gradients): Promise<number> {
  const given = present(gradients, "gradientNorm");
  if (given.length === 0) return 0;
  const each = unscoped(() =>
    noGrad(() =>
      tidy(() =>
        concat(
          given.map((gradient) => gradient.norm().reshape([1])),
          0,
        ),
      ),
    ),
  );
  try {
    let squares = 0;
    for (const one of await each.read()) squares += one * one;
    return Math.sqrt(squares);
  } finally {
    each.dispose();
  }
}

/**
 * Scales gradients down, in place, so that their norm over all parameters is `most` where it was larger
 * (arXiv:1211.5063), and gives the norm that they had. One that is not finite changes nothing.
 */
export async function clipGradNorm(gradients: Gradients, most: number): Promise<number> {
  checkPositive(most, "clipGradNorm", "the largest norm");
  const norm = await gradientNorm(gradients);
  if (norm > most && norm < Infinity) scaleGradients(gradients, most / norm);
  return norm;
}

/** All of them times a number, in place. */
export function scaleGradients(gradients: Gradients, factor: number): void {
  for (const gradient of gradients) if (gradient) scaleInPlace(gradient, factor);
}

/** Cuts every number of the gradients off at ±`most`, in place. */
export function clipGradValue(gradients: Gradients, most: number): void {
  checkPositive(most, "clipGradValue", "the largest value");
  for (const gradient of present(gradients, "clipGradValue"))
    noGrad(() => tidy(() => gradient.copyFrom(gradient.clamp(-most, most))));
}

/** Those that are not null. Throws for what is no gradient. */
function present(gradients: Gradients, who: string): Tensor[] {
  if (!Array.isArray(gradients)) refuse(who, "an array of gradients", gradients);
  return (gradients as Gradients).flatMap((gradient) => {
    if (gradient === null) return [];
    checkTensor(gradient, who, "gradients");
    return [gradient];
  });
}
