/** The action spaces FLOWER was pretrained on, with their widths: each has an encoder, a decoder and a controller. */
export const actionSpaces = { joint_single: 8, eef_delta: 7, bimanual_nav: 16 } as const;

/** The space whose actions have this many numbers. */
export function spaceOf(actionWidth: number): string {
  const found = Object.entries(actionSpaces).find(([, width]) => width === actionWidth);
  if (found) return found[0];
  const known = Object.entries(actionSpaces).map(([name, width]) => `${width} (${name})`);
  throw new Error(`FlowerDecoder: expected actions of ${known.join(", ")} numbers, got ${actionWidth}`);
}
