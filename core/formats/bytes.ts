/** Bytes as text and in order, with what browsers have as well as Node. */

/** Two digits each. */
export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** A character each: ISO 8859-1, which `TextDecoder` takes for Windows' code page. */
export function toLatin1(bytes: Uint8Array): string {
  const AT_ONCE = 8192; // arguments of a call lie on the stack
  let text = "";
  for (let at = 0; at < bytes.length; at += AT_ONCE)
    text += String.fromCharCode(...bytes.subarray(at, at + AT_ONCE));
  return text;
}

/** Negative, 0 or positive as `a` comes before `b`, equals it or comes after it in a dictionary. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
