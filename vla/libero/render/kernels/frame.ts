import { F64, F64x2, I32, int, load } from "../../../../core/index.ts";

/** What a frame holds at a place of `FRAME` (layout.ts): a whole number, a number, two numbers. */
export const frame = (at: number): I32 => load(I32, int(0), at);
export const frameNumber = (at: number): F64 => load(F64, int(0), at);
export const framePair = (at: number): F64x2 => load(F64x2, int(0), at);
