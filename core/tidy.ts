import { shownMemory } from "./device.ts";
import { Scope } from "./scope.ts";
import { Tensor } from "./tensor.ts";

/**
 * Runs `body` in a scope of its own and frees what it made, except the tensors that it returns: one, or several in an
 * array or a plain object. They are kept as by `Scope.keep`. The form for the body of a loop:
 *
 *     for (const batch of batches) {
 *       const loss = tidy(() => step(batch).item());
 *     }
 */
export function tidy<T>(body: () => T): T {
  using scope = new Scope();
  const result = body();
  keepAll(scope, result);
  return result;
}

function keepAll(scope: Scope, value: unknown): void {
  if (value instanceof Tensor) scope.keep(value);
  else if (value instanceof Promise) {
    throw new Error(
      "tidy: expected a body that is done when it returns, got a promise: scopes never span await",
    );
  } else if (ArrayBuffer.isView(value) && shownMemory.has(value.buffer)) {
    throw new Error(
      "tidy: expected no view of a tensor (.data), which would show other numbers: return toArray()",
    );
  } else if (Array.isArray(value)) for (const each of value) keepAll(scope, each);
  else if (isPlainObject(value)) for (const each of Object.values(value)) keepAll(scope, each);
}

const isPlainObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
