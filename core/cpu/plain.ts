const mode = { plain: false };

/** Runs `body` on the plain kernels only: the oracle for the fast ones. */
export function plainKernels<T>(body: () => T): T {
  const before = mode.plain;
  mode.plain = true;
  try {
    return body();
  } finally {
    mode.plain = before;
  }
}

/** False inside `plainKernels`. */
export const usesFastKernels = (): boolean => !mode.plain;
