/** Side of a tile of the picture, pixels: 2 ^ TILE_BITS. */
export const TILE_BITS = 3;
