/**
 * Launches that a GPU can do, and do well, from those of a formula: row statistics by themselves (loops.ts), long sums
 * in two steps, and none that reads more arrays than a kernel may have.
 */
import { Expr, type ExprNode, partsOf, rebuild } from "../formula/expr.ts";
import type { Index, Variable } from "../formula/indices.ts";
import { counterOf, each, type Launch, max, type Operand, replaceCounters, sum } from "../formula/launch.ts";
import { eachAtom, indicesOf, launchesOf, withStatistics } from "../formula/loops.ts";

/** WebGPU promises a kernel eight buffers, and one of them is for the result. */
const MOST_ARRAYS = 7;
/** A reduction of this many numbers or more, for so few results, would keep most of a GPU idle. */
const LONG = 2048;
const FEW_RESULTS = 4096;

/** The same results from launches for a GPU. */
export function forGpu(results: readonly Operand[]): Operand[] {
  const statistics = new Map<string, Operand>();
  const apart = results.map((result) => withStatistics(result, statistics));
  return changed(changed(apart, inTwoSteps), narrowed);
}

/** The results with every launch that leads to one of them changed. */
function changed(results: readonly Operand[], change: (launch: Launch) => Launch): Operand[] {
  const done = new Map<string, Operand>();
  const readFrom = (e: Expr): Expr => {
    const other = e.node.kind === "read" && done.get(e.node.source.name);
    return other ? new Expr({ ...e.node, source: other.source } as ExprNode) : e;
  };
  for (const { source, launch } of results.flatMap(launchesOf)) {
    if (done.has(source.name)) continue;
    const { axes, element } = change({ axes: launch.axes, element: rebuild(launch.element, readFrom) });
    done.set(
      source.name,
      over(axes, (counters) => replaceCounters(element, counters)),
    );
  }
  return results.map(({ source, shape }) => (done.get(source.name) as Operand).as(shape));
}

/** A launch with these axes; its element is made with what stands for their counters. */
function over(
  axes: readonly Variable[],
  element: (counters: ReadonlyMap<Variable, Index>, ...further: Index[]) => Expr,
  ...further: number[]
): Operand {
  const shape = [...axes.map(({ length }) => length), ...further];
  return each(shape, (...places) =>
    element(new Map(axes.map((axis, i) => [axis, places[i]])), ...places.slice(axes.length)),
  );
}

type Reduction = Extract<ExprNode, { kind: "reduce" }>;

/** A long reduction becomes √n short ones and one of their results: more to do at a time, and less rounding. */
function inTwoSteps({ axes, element }: Launch): Launch {
  let rest = element;
  if (axes.reduce((product, { length }) => product * length, 1) >= FEW_RESULTS) return { axes, element };
  for (const long of outermostReductions(element)) {
    if (turnsOf(long) < LONG) continue;
    const { name, variable, of } = long.node as Reduction;
    const parts = Math.min(variable.length, Math.ceil(Math.sqrt(turnsOf(long))));
    const turns = Math.ceil(variable.length / parts);
    const own = axesOf(long, axes);
    const reduce = { sum, max }[name];
    const summed = over(
      own,
      (counters, part) => {
        const place = (turn: Index | number): Expr => {
          const at = part.mul(turns).add(turn);
          const value = replaceCounters(of, new Map([...counters, [variable, at]]));
          return at.lessThan(variable.length, value, name === "sum" ? 0 : -Infinity);
        };
        return turns === 1 ? place(0) : reduce(turns, place);
      },
      parts,
    );
    // What lies inside of it may be long as well.
    const inner = inTwoSteps(summed.source.launch as Launch);
    const partial = over(inner.axes, (counters) => replaceCounters(inner.element, counters));
    const total = reduce(parts, (part) => partial.at(...own.map(counterOf), part));
    rest = rebuild(rest, (e) => (e === long ? total : e));
  }
  return { axes, element: rest };
}

/** Reductions that lie in no other. */
const outermostReductions = (e: Expr): readonly Expr[] =>
  e.node.kind === "reduce" ? [e] : [...new Set(partsOf(e.node).flatMap(outermostReductions))];

/** How many numbers a reduction goes through. */
function turnsOf(e: Expr): number {
  const inner = Math.max(1, ...partsOf(e.node).map(turnsOf));
  return e.node.kind === "reduce" ? e.node.variable.length * inner : inner;
}

/** Parts of an element that reads too many arrays are computed by launches before it. */
function narrowed({ axes, element }: Launch): Launch {
  let rest = element;
  while (needsOf(rest).arrays.size > MOST_ARRAYS) {
    const part = widestPart(rest, axes);
    const own = axesOf(part, axes);
    const before = over(own, (counters) => replaceCounters(part, counters)).at(...own.map(counterOf));
    rest = rebuild(rest, (e) => (e === part ? before : e));
  }
  return { axes, element: rest };
}

/** The part that reads the most arrays, as many as a kernel may have, and depends on nothing but the axes. */
function widestPart(element: Expr, axes: readonly Variable[]): Expr {
  let [widest, most] = [element, 1];
  const visit = (e: Expr): void => {
    const { size } = needsOf(e).arrays;
    if (size <= most) return;
    if (size <= MOST_ARRAYS && [...needsOf(e).counters].every((variable) => axes.includes(variable))) {
      [widest, most] = [e, size];
    } else partsOf(e.node).forEach(visit);
  };
  visit(element);
  if (most === 1) throw new Error(`formula: expected numbers that depend on ${MOST_ARRAYS} arrays at most`);
  return widest;
}

/** The axes that an expression depends on. */
const axesOf = (e: Expr, axes: readonly Variable[]): readonly Variable[] =>
  axes.filter((axis) => needsOf(e).counters.has(axis));

/** What an expression needs: the names of arrays, and the counters of loops that it lies in. */
interface Needs {
  readonly arrays: ReadonlySet<string>;
  readonly counters: ReadonlySet<Variable>;
}

const known = new WeakMap<Expr, Needs>();

function needsOf(e: Expr): Needs {
  let needs = known.get(e);
  if (!needs) known.set(e, (needs = foundNeeds(e)));
  return needs;
}

function foundNeeds({ node }: Expr): Needs {
  const arrays = new Set<string>();
  const counters = new Set<Variable>();
  for (const part of partsOf(node)) {
    needsOf(part).arrays.forEach((name) => void arrays.add(name));
    needsOf(part).counters.forEach((variable) => void counters.add(variable));
  }
  if (node.kind === "read") arrays.add(node.source.name);
  for (const index of indicesOf(node)) {
    eachAtom(index, (atom) => {
      if (atom.kind === "loaded") arrays.add(atom.source.name);
      if (atom.kind === "variable") counters.add(atom.variable);
    });
  }
  if (node.kind === "reduce") counters.delete(node.variable);
  return { arrays, counters };
}
