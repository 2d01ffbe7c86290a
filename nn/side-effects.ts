import { checkFunction, type Tensor, unscoped } from "../core/index.ts";

/** What a forward pass in training mode leaves behind in a module, such as running statistics. */
export interface SideEffect {
  /** What it needs of the pass. */
  readonly from: readonly Tensor[];
  /** Does it, given those. */
  apply(from: readonly Tensor[]): void;
}

/** Who is told of them; null where they are done at once. */
let collector: SideEffect[] | null = null;

/**
 * Runs `body` and gives what it leaves behind, not done yet. The tensors that it needs live until they are disposed of.
 * A captured training step does so: its replays compute the tensors, and what is left behind is done after each.
 */
export function collectSideEffects<T>(body: () => T): { readonly result: T; readonly effects: SideEffect[] } {
  checkFunction(body, "collectSideEffects", "body");
  const before = collector;
  const effects: SideEffect[] = [];
  collector = effects;
  try {
    return { result: body(), effects };
  } finally {
    collector = before;
  }
}

/**
 * Called by modules in training mode: does it now, or hands it to who collects. `from` is cut off from its history.
 */
export function leaveBehind(from: readonly Tensor[], apply: SideEffect["apply"]): void {
  if (!collector) apply(from);
  else collector.push({ from: unscoped(() => from.map((x) => x.detach())), apply });
}

/** What `body` gives, with nothing left behind. */
export function withoutEffects<T>(body: () => T): T {
  const { result, effects } = collectSideEffects(body);
  for (const { from } of effects) for (const x of from) x.dispose();
  return result;
}

/** f, whose side effects happen in its first call alone: the backward pass of a checkpoint calls it again. */
export function withEffectsOnce<X extends unknown[], Y>(f: (...xs: X) => Y): (...xs: X) => Y {
  let isFirst = true;
  return (...xs) => {
    if (!isFirst) return withoutEffects(() => f(...xs));
    isFirst = false;
    return f(...xs);
  };
}
