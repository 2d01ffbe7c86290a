/** Points and directions of three numbers: metres in the world frame unless said otherwise. */
export type Vector = readonly [x: number, y: number, z: number];

export function triple(values: ArrayLike<number>, at: number): Vector {
  return [values[at], values[at + 1], values[at + 2]];
}

export function add(a: Vector, b: Vector): Vector {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
}

export function subtract(a: Vector, b: Vector): Vector {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

export function scale([x, y, z]: Vector, factor: number): Vector {
  return [factor * x, factor * y, factor * z];
}

export function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

export function cross(a: Vector, b: Vector): Vector {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

/** Distance in the plane. */
export function aside(a: Vector, b: Vector): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

export function up([x, y, z]: Vector, height: number): Vector {
  return [x, y, z + height];
}

export function distance(a: Vector, b: Vector): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

/** The angle of the same direction in [-period/2, period/2). */
export function wrap(angle: number, period: number): number {
  return angle - period * Math.floor(angle / period + 0.5);
}
