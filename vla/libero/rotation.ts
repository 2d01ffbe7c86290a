/**
 * Rotations in the reference's mixed precision. Its quaternions are float32, and so are the off-diagonal entries of
 * their matrices, while the diagonal is double; doubles throughout would differ by 1e-7.
 */

const f = Math.fround;

/** out (3 × 3) = rotation by the rotation vector (x, y, z), radians. */
export function rotationVectorMatrix(out: Float64Array, x: number, y: number, z: number): void {
  const angle = Math.sqrt(x * x + y * y + z * z);
  // The length can be 0 without the vector's being 0, since squares of tiny numbers vanish.
  const sin = Math.sin(angle / 2);
  const part = (component: number) => (angle === 0 ? 0 : (component / angle) * sin);
  quaternionMatrix(out, Math.cos(angle / 2), part(x), part(y), part(z));
}

/** out (3 × 3) = rotation by the quaternion w + xi + yj + zk, of any length but 0. */
export function quaternionMatrix(out: Float64Array, w: number, x: number, y: number, z: number): void {
  let [qw, qx, qy, qz] = [f(w), f(x), f(y), f(z)];
  // As the reference's float32 dot product comes out: products rounded, their sum rounded once.
  const n = f(f(qw * qw) + f(qx * qx) + f(qy * qy) + f(qz * qz));
  const scale = Math.sqrt(2 / n);
  qw = f(qw * scale);
  qx = f(qx * scale);
  qy = f(qy * scale);
  qz = f(qz * scale);
  const xx = f(qx * qx);
  const yy = f(qy * qy);
  const zz = f(qz * qz);
  const xy = f(qx * qy);
  const xz = f(qx * qz);
  const yz = f(qy * qz);
  const wx = f(qw * qx);
  const wy = f(qw * qy);
  const wz = f(qw * qz);
  out[0] = 1 - yy - zz;
  out[1] = f(xy - wz);
  out[2] = f(xz + wy);
  out[3] = f(xy + wz);
  out[4] = 1 - xx - zz;
  out[5] = f(yz - wx);
  out[6] = f(xz - wy);
  out[7] = f(yz + wx);
  out[8] = 1 - xx - yy;
}

/** Unit quaternion xyzw, w ≥ 0, of the rotation matrix `m` (3 × 3); Shepperd's choice of the largest component. */
export function matrixQuaternion(m: ArrayLike<number>): [x: number, y: number, z: number, w: number] {
  const squares = [
    1 + m[0] - m[4] - m[8],
    1 - m[0] + m[4] - m[8],
    1 - m[0] - m[4] + m[8],
    1 + m[0] + m[4] + m[8],
  ];
  const largest = squares.indexOf(Math.max(...squares));
  const q = [
    [squares[0], m[1] + m[3], m[2] + m[6], m[7] - m[5]],
    [m[1] + m[3], squares[1], m[5] + m[7], m[2] - m[6]],
    [m[2] + m[6], m[5] + m[7], squares[2], m[3] - m[1]],
    [m[7] - m[5], m[2] - m[6], m[3] - m[1], squares[3]],
  ][largest];
  const length = Math.hypot(...q) * (q[3] < 0 ? -1 : 1);
  return [q[0] / length, q[1] / length, q[2] / length, q[3] / length];
}

/**
 * Rotation vector, radians, of a unit quaternion xyzw: angle 2 acos w in [0, 2π], about the vector part. Without a
 * change of sign, as robosuite's `quat2axisangle` and LIBERO's files have it: −q turns the other way round.
 */
export function quaternionAxisAngle([x, y, z, w]: ArrayLike<number> & Iterable<number>): Float64Array {
  const cos = Math.min(1, Math.max(-1, w));
  const sin = Math.sqrt(1 - cos * cos);
  // A rotation by 0 has no axis.
  const scale = sin < 1e-9 ? 0 : (2 * Math.acos(cos)) / sin;
  return Float64Array.of(x * scale, y * scale, z * scale);
}
