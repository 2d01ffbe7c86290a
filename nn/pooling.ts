import {
  checkInteger,
  checkOptions,
  checkTensor,
  checkWindow,
  concat,
  refuse,
  Tensor,
  type Window,
} from "../core/index.ts";
import { Module } from "./module.ts";

export interface PoolOptions {
  /** Side of the square window. */
  readonly kernel: number;
  /** How far it moves; its side unless given. */
  readonly stride?: number;
  /** Pixels around the map, at most half a window: −∞ for the largest, zeros for the mean. 0 unless given. */
  readonly padding?: number;
}

/**
 * The largest of each window, per channel: (B, H, W, C) → (B, rows, columns, C). Equal ones share the gradient evenly.
 */
export class MaxPool2d extends Module {
  readonly window: Window;

  constructor(options: PoolOptions) {
    super();
    this.window = windowOf(options, "MaxPool2d");
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "MaxPool2d");
    const seen = windows(x, this.window, "MaxPool2d"); // (B, rows, columns, kernel², C)
    if (this.window.padding === 0) return seen.max([3]);
    const [, H, W] = x.shape;
    const isInside = windows(Tensor.ones([1, H, W, 1], x.dtype), this.window, "MaxPool2d");
    return isInside.broadcastTo(seen.shape).where(seen, Number.NEGATIVE_INFINITY).max([3]);
  }
}

/** The mean of each window, per channel; zeros around the map count too: (B, H, W, C) → (B, rows, columns, C). */
export class AvgPool2d extends Module {
  readonly window: Window;

  constructor(options: PoolOptions) {
    super();
    this.window = windowOf(options, "AvgPool2d");
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "AvgPool2d");
    return windows(x, this.window, "AvgPool2d").mean([3]);
  }
}

/** What pools a map by cells that divide it into so many rows and columns. */
abstract class AdaptivePool2d extends Module {
  readonly rows: number;
  readonly columns: number;

  constructor(rows: number, columns = rows) {
    super();
    checkInteger(rows, 1, new.target.name, "rows");
    checkInteger(columns, 1, new.target.name, "columns");
    this.rows = rows;
    this.columns = columns;
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, this.constructor.name);
    x.dims("B H W C", this.constructor.name);
    return this.#inCells(this.#inCells(x, 1, this.rows), 2, this.columns);
  }

  /** One number of each cell along an axis, kept with length 1. */
  protected abstract pool(cell: Tensor, axis: number): Tensor;

  #inCells(x: Tensor, axis: number, cells: number): Tensor {
    const length = x.shape[axis];
    const pooled = Array.from({ length: cells }, (_, i) => {
      const [from, to] = [Math.floor((i * length) / cells), Math.ceil(((i + 1) * length) / cells)];
      return this.pool(x.slice(axis, from, to), axis);
    });
    return concat(pooled, axis);
  }
}

/**
 * Means of cells that divide the map into so many rows and columns: (B, H, W, C) → (B, rows, columns, C). Of N pixels
 * along an axis cell i of n reaches from ⌊i N/n⌋ to before ⌈(i + 1) N/n⌉, as in PyTorch, so neighbours may share
 * pixels.
 */
export class AdaptiveAvgPool2d extends AdaptivePool2d {
  protected pool(cell: Tensor, axis: number): Tensor {
    return cell.mean([axis], true);
  }
}

/** The largest of the same cells. */
export class AdaptiveMaxPool2d extends AdaptivePool2d {
  protected pool(cell: Tensor, axis: number): Tensor {
    return cell.max([axis], true);
  }
}

function windowOf(options: PoolOptions, who: string): Window {
  checkOptions(options, ["kernel", "stride", "padding"], who);
  const { kernel, stride = kernel, padding = 0 } = options;
  checkWindow({ kernel, stride, padding }, who);
  if (2 * padding > kernel) refuse(who, `padding of at most half a window of ${kernel}`, padding);
  return { kernel, stride, padding };
}

/** (B, H, W, C) → (B, rows, columns, kernel², C) */
function windows(x: Tensor, window: Window, who: string): Tensor {
  const { B, C } = x.dims("B H W C", who);
  const patches = x.unfold(window);
  return patches.reshape([B, patches.shape[1], patches.shape[2], window.kernel ** 2, C]);
}
