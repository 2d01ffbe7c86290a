import { fc, test } from "@fast-check/vitest";
import { afterAll, beforeAll, expect } from "vitest";
import {
  FrozenWeights,
  heapUsage,
  Plan,
  poisonFreed,
  Random,
  Scope,
  Tensor,
  tidy,
  unscoped,
} from "../../core/index.ts";

/**
 * The contract of docs/memory.md and docs/plans.md, tried with random programs of scopes, keeps, plans, disposals and
 * replays beside a plain model of what each value must be. After every action each tensor that the program ever got
 * hold of either shows the model's numbers or throws the error that the contract names; freed memory is poisoned, so
 * that stale numbers show. In the end, everything disposed of, the heap holds what it held at the start.
 *
 * All tensors are 2 × 2 and hold whole numbers up to 8: sums and products of these are exact in every kernel and
 * format.
 */
type Numbers = readonly number[];

/** A block as the model sees it, shared by all tensors that look at it. */
interface Cell {
  numbers: Numbers;
  /** The plan whose memory it is part of; null for a block of its own. */
  readonly owner: { disposed: boolean } | null;
  /** A constant of a plan: the contract says that nobody writes to it any more. */
  frozen: boolean;
}

/** A tensor that the program holds. `level` counts the scopes that were open around it; 0 is none. */
interface Handle {
  readonly tensor: Tensor;
  readonly cell: Cell;
  level: number;
  freed: boolean;
}

interface Weights {
  readonly frozen: FrozenWeights;
  readonly numbers: Numbers;
  disposed: boolean;
}

/** A value inside the body of a plan. The model runs alone at a replay, where there are no tensors. */
interface Value {
  readonly cell: Cell;
  /** Depends on an input or a variable. */
  readonly changes: boolean;
  readonly tensor: Tensor | null;
  /** The body's own, so that it may dispose of it. */
  readonly own: boolean;
}

type BodyStep = readonly [kind: number, i: number, j: number];

interface Captured {
  readonly plan: Plan;
  readonly owner: { disposed: boolean };
  readonly inputs: readonly Cell[];
  readonly closure: readonly Value[];
  readonly body: readonly BodyStep[];
  readonly pick: number;
  readonly outputs: readonly Cell[];
  /** Those of the capture: disposing of them takes nothing from the plan. */
  readonly weights: readonly Weights[];
}

interface Action {
  readonly kind: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly body: readonly BodyStep[];
}

const FREED = /used after it was freed/;
const DISPOSED = /disposed of/;

const clamp = (x: number): number => Math.max(-8, Math.min(8, x)) + 0; // + 0 makes −0 a 0
const matmul = ([a, b, c, d]: Numbers, [e, f, g, h]: Numbers): Numbers =>
  [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h].map(clamp);
const transposed = ([a, b, c, d]: Numbers): Numbers => [a, c, b, d];
const numbersFrom = (seed: number): Numbers => [seed, seed * 3, seed * 5, seed * 7].map((x) => (x % 17) - 8);

/** The ops that programs are made of: on numbers, and on tensors. */
const OPS: readonly {
  model(a: Numbers, b: Numbers): Numbers;
  real(a: Tensor, b: Tensor): Tensor;
}[] = [
  { model: (a, b) => a.map((x, i) => clamp(x + b[i])), real: (a, b) => a.add(b).clamp(-8, 8) },
  { model: (a, b) => a.map((x, i) => clamp(x - b[i])), real: (a, b) => a.sub(b).clamp(-8, 8) },
  { model: matmul, real: (a, b) => a.matmul(b).clamp(-8, 8) },
  { model: (a) => a.map((x) => clamp(-x)), real: (a) => a.neg() },
];
const frozenProduct = (x: Tensor, weights: FrozenWeights): Tensor =>
  x.reshape([1, 2, 2]).frozenLinear(weights).reshape([2, 2]).clamp(-8, 8);

/** What it shows, or the message of its error. */
function outcome(show: () => string): string {
  try {
    return show();
  } catch (error) {
    return (error as Error).message;
  }
}

const at = <T>(list: readonly T[], index: number): T => list[index % list.length];

class World {
  readonly handles: Handle[] = [];
  readonly open: Scope[] = [];
  readonly ended: Scope[] = [];
  readonly plans: Captured[] = [];
  readonly weights: Weights[] = [];

  /** Does something that must work, or must throw what the contract names. */
  attempt(expected: RegExp | null, act: () => void): void {
    if (expected) expect(act).toThrow(expected);
    else act();
  }

  /** The error that using it must give. */
  misuse({ freed, cell }: Handle): RegExp | null {
    if (freed) return FREED;
    return cell.owner?.disposed ? DISPOSED : null;
  }

  hold(tensor: Tensor, cell: Cell, level = this.open.length): void {
    this.handles.push({ tensor, cell, level, freed: false });
  }

  check(): void {
    for (const handle of this.handles) {
      const expected = this.misuse(handle) ?? handle.cell.numbers.join();
      const shown = outcome(() => Array.from(handle.tensor.data, (x) => x + 0).join());
      const right = typeof expected === "string" ? shown === expected : expected.test(shown);
      if (!right) expect(shown).toMatch(expected); // seldom called: `expect` takes longer than all the rest
    }
    for (const { plan, owner } of this.plans) {
      const right = owner.disposed ? DISPOSED : /^\d+$/;
      expect(outcome(() => String(plan.length))).toMatch(right);
    }
  }

  act({ kind, a, b, c, body }: Action): void {
    const actions: readonly (() => void)[] = [
      () => {
        const numbers = numbersFrom(a);
        this.hold(Tensor.from(numbers, [2, 2]), fresh(numbers));
      },
      () => {
        const numbers = numbersFrom(a);
        const tensor = unscoped(() => Tensor.from(numbers, [2, 2]));
        this.hold(tensor, fresh(numbers), 0);
      },
      () => this.open.push(new Scope()),
      () => this.close(a),
      ...Array.from({ length: 2 }, () => () => this.capture(a, b, c, body)),
      ...Array.from({ length: 4 }, () => () => this.run(a, b, c)),
      () => this.disposePlan(a),
      () => {
        const numbers = numbersFrom(a); // (outputs, inputs)
        const frozen = new FrozenWeights([numbers], 2, 2, b % 2 === 0 ? "float32" : "bfloat16");
        // Laid out now, not in a capture that may fail.
        tidy(() => frozenProduct(Tensor.zeros([2, 2]), frozen)).dispose();
        this.weights.push({ frozen, numbers: transposed(numbers), disposed: false });
      },
      () => {
        if (this.weights.length === 0) return;
        const weights = at(this.weights, a);
        for (let times = 0; times <= b % 2; times++) weights.frozen.dispose();
        weights.disposed = true;
      },
      ...(this.handles.length === 0 ? [] : this.withHandles(a, b, c)),
    ];
    at(actions, kind)();
  }

  withHandles(a: number, b: number, c: number): readonly (() => void)[] {
    const [x, y] = [at(this.handles, a), at(this.handles, b)];
    return [
      () => {
        const op = at(OPS, c);
        this.attempt(this.misuse(x) ?? (op.model.length > 1 ? this.misuse(y) : null), () => {
          const numbers = op.model(x.cell.numbers, y.cell.numbers);
          const tensor = tidy(() => op.real(x.tensor, y.tensor));
          this.hold(tensor, fresh(numbers));
        });
      },
      () => this.attempt(x.freed ? FREED : null, () => this.hold(x.tensor.detach(), x.cell)),
      () => {
        x.tensor.dispose();
        x.freed = true;
      },
      () => {
        if (x.cell.frozen || x.cell.owner) return;
        this.attempt(this.misuse(x), () => {
          x.tensor.data.set(numbersFrom(b));
          x.cell.numbers = numbersFrom(b);
        });
      },
      () => {
        const scopes = [...this.open, ...this.ended];
        if (scopes.length === 0) return;
        const scope = at(scopes, b);
        const level = this.open.indexOf(scope) + 1;
        this.attempt(level === 0 ? /has ended/ : x.freed ? FREED : null, () => {
          expect(scope.keep(x.tensor)).toBe(x.tensor);
          if (x.level >= level) x.level = level - 1;
        });
      },
      () => {
        if (this.weights.length === 0) return;
        const weights = at(this.weights, b);
        this.attempt(this.misuse(x) ?? (weights.disposed ? DISPOSED : null), () => {
          const tensor = tidy(() => frozenProduct(x.tensor, weights.frozen));
          this.hold(tensor, fresh(matmul(x.cell.numbers, weights.numbers)));
        });
      },
    ];
  }

  /** Ends a scope: the innermost, one that still has others inside it, or one that has ended already. */
  close(a: number): void {
    const scopes = [...this.open, ...this.ended];
    if (scopes.length === 0) return;
    const scope = at(scopes, a);
    const level = this.open.indexOf(scope) + 1;
    this.attempt(level > 0 && level < this.open.length ? /opposite order/ : null, () => {
      scope[Symbol.dispose]();
      if (level === 0) return;
      this.ended.push(this.open.pop() as Scope);
      for (const handle of this.handles) if (handle.level === level) handle.freed = true;
    });
  }

  capture(a: number, b: number, c: number, body: readonly BodyStep[]): void {
    if (this.handles.length === 0 || this.plans.length > 4) return;
    const examples = [at(this.handles, a), at(this.handles, b)].slice(0, 1 + (c % 2));
    const closure = [a + 1, b + 2, c]
      .map((index) => at(this.handles, index))
      .filter((handle, i, all) => !this.misuse(handle) && all.indexOf(handle) === i);
    const variables = closure.filter((_, i) => (c >> i) % 2 === 1);
    const owner = { disposed: false };
    const values = closure.map(
      (handle): Value => ({
        cell: handle.cell,
        changes: variables.some(({ cell }) => cell === handle.cell), // or another tensor over the same block
        tensor: handle.tensor,
        own: false,
      }),
    );
    const inputs = examples.map(({ cell: { numbers } }): Cell => ({ numbers, owner, frozen: false }));
    const run = new BodyRun(this, owner, [...this.weights]);
    let outputs: readonly Value[] = [];
    const make = (): void => {
      const plan = new Plan(
        (...tensors) => {
          const given = tensors.map(
            (tensor, i): Value => ({ cell: inputs[i], changes: true, tensor, own: true }),
          );
          outputs = run.outputs(body, [...given, ...values], c);
          return outputs.map(({ tensor }) => tensor as Tensor);
        },
        examples.map(({ tensor }) => tensor),
        variables.map(({ tensor }) => tensor),
      );
      const { weights } = run;
      for (const { cell, changes } of values) if (!changes) cell.frozen = true;
      const cells = outputs.map(({ cell }) => cell);
      for (const { cell, changes } of outputs) if (!changes) cell.frozen = true;
      this.plans.push({ plan, owner, inputs, closure: values, body, pick: c, outputs: cells, weights });
    };
    const before = heapUsage().live;
    const misused = examples.map((handle) => this.misuse(handle)).find((pattern) => pattern);
    let error: unknown = null;
    try {
      make();
    } catch (caught) {
      error = caught;
    }
    const expected = misused ?? run.refused;
    if (expected) expect((error as Error | null)?.message).toMatch(expected);
    else if (error) throw error;
    this.handles.push(...run.escaped);
    // A capture that failed leaves nothing behind but what the body made to live on.
    const kept = run.escaped.filter(({ freed, cell }) => !freed && cell.owner === null);
    if (error) expect(heapUsage().live - before).toBe(64 * kept.length);
  }

  run(a: number, b: number, c: number): void {
    if (this.plans.length === 0) return;
    const captured = at(this.plans, c);
    const { plan, owner, inputs, closure, body, pick, outputs, weights } = captured;
    const given = [at(this.handles, a), at(this.handles, b)].slice(0, inputs.length);
    const misused = given.map((handle) => this.misuse(handle)).find((pattern) => pattern) ?? null;
    this.attempt(owner.disposed ? DISPOSED : misused, () => {
      const results = plan.run(...given.map(({ tensor }) => tensor));
      const numbers = given.map(({ cell }) => cell.numbers);
      numbers.forEach((each, i) => {
        inputs[i].numbers = each;
      });
      const model = new BodyRun(this, owner, weights, false);
      const values = [
        ...inputs.map((cell): Value => ({ cell, changes: true, tensor: null, own: true })),
        ...closure.map((value): Value => ({ ...value, tensor: null })),
      ];
      model.outputs(body, values, pick).forEach(({ cell }, i) => {
        outputs[i].numbers = cell.numbers;
        this.hold(results[i], outputs[i]);
      });
    });
  }

  disposePlan(a: number): void {
    if (this.plans.length === 0) return;
    const { plan, owner } = at(this.plans, a);
    plan[Symbol.dispose]();
    owner.disposed = true;
  }

  /** Ends everything; the order is one of many. */
  end(): void {
    while (this.open.length > 0) this.close(this.open.length - 1);
    this.check();
    for (const weights of this.weights) weights.frozen.dispose();
    this.plans.forEach((_, i) => {
      this.disposePlan(i);
    });
    this.check();
    for (const handle of this.handles) {
      handle.tensor.dispose();
      handle.freed = true;
    }
    this.check();
  }
}

const fresh = (numbers: Numbers): Cell => ({ numbers, owner: null, frozen: false });

/** One pass through the body of a plan: on tensors while it is captured, on the model alone afterwards. */
class BodyRun {
  /** The error that the body must have ended with. */
  refused: RegExp | null = null;
  /** Tensors that the body hands to the outside. */
  readonly escaped: Handle[] = [];
  readonly world: World;
  readonly owner: { disposed: boolean };
  readonly weights: readonly Weights[];
  readonly capturing: boolean;

  constructor(world: World, owner: { disposed: boolean }, weights: readonly Weights[], capturing = true) {
    this.world = world;
    this.owner = owner;
    this.weights = weights;
    this.capturing = capturing;
  }

  /** The last value and another one: a result, an input, a constant, a variable, or the same twice. */
  outputs(body: readonly BodyStep[], given: readonly Value[], pick: number): readonly Value[] {
    const values = [...given];
    for (const step of body) this.step(step, values);
    const chosen = [values[values.length - 1], at(values, pick)];
    for (const value of chosen) this.read(value);
    return chosen;
  }

  /** Another plan's results are refused. */
  read({ cell }: Value): void {
    if (this.capturing && cell.owner && cell.owner !== this.owner)
      this.refused ??= /result .* of another plan/;
  }

  /** A value computed from others. */
  made(from: readonly Value[], numbers: Numbers, real: () => Tensor): Value {
    for (const value of from) this.read(value);
    const changes = from.some((value) => value.changes);
    const cell: Cell = { numbers, owner: changes ? this.owner : null, frozen: false };
    return { cell, changes, tensor: this.capturing ? real() : null, own: true };
  }

  step([kind, i, j]: BodyStep, values: Value[]): void {
    const [a, b] = [at(values, i), at(values, j)];
    const op = at(OPS, i + j);
    const real = (): Tensor => op.real(a.tensor as Tensor, b.tensor as Tensor);
    const from = op.model.length > 1 ? [a, b] : [a];
    const numbers = op.model(a.cell.numbers, b.cell.numbers);
    const push = (value: Value): void => void values.push(value);
    const steps: readonly (() => void)[] = [
      () => push(this.made(from, numbers, real)),
      () => push(this.made(from, numbers, () => tidy(real))),
      () =>
        push(
          this.made(from, numbers, () => {
            using scope = new Scope();
            return scope.keep(real());
          }),
        ),
      () => push({ ...a, own: true, tensor: a.tensor?.reshape([4]).reshape([2, 2]) ?? null }),
      () => push(this.made([], numbersFrom(i), () => Tensor.from(numbersFrom(i), [2, 2]))),
      () => {
        // Disposes of a value of its own, an input perhaps; the others may go on reading the same block.
        if (!a.own || values.length < 2) return;
        values.splice(values.indexOf(a), 1);
        a.tensor?.dispose();
      },
      () => {
        if (!a.own || !a.tensor) return;
        this.escaped.push({ tensor: a.tensor, cell: a.cell, level: 0, freed: true }); // the body's scope frees it
      },
      () => {
        if (!this.capturing) return;
        const value = this.made(from, numbers, () => tidy(() => unscoped(() => tidy(real))));
        this.escaped.push({
          tensor: value.tensor as Tensor,
          // What depends on inputs or variables has no numbers; else it is a tensor like any other.
          cell: { ...fresh(numbers), owner: value.changes ? { disposed: true } : null },
          level: 0,
          freed: false,
        });
      },
      () => {
        if (this.weights.length === 0) return;
        const { frozen, numbers: matrix, disposed } = at(this.weights, j);
        if (this.capturing && disposed) this.refused ??= DISPOSED;
        push(this.made([a], matmul(a.cell.numbers, matrix), () => frozenProduct(a.tensor as Tensor, frozen)));
      },
      () => {
        if (i % 4 !== 0 || !this.capturing) return; // seldom: it ends the capture
        const other = this.world.plans[0];
        if (j % 3 === 0 && a.changes) {
          this.refused ??= /changes from replay to replay/;
          a.tensor?.data;
        } else if (j % 3 === 1 && other) {
          this.refused ??= other.owner.disposed ? DISPOSED : /Plan.run: a plan is being captured/;
          other.plan.run();
        } else if (j % 3 === 2) {
          this.refused ??= /Random: a plan is being captured/;
          new Random(1).uniform();
        }
      },
    ];
    at(steps, kind)();
  }
}

beforeAll(() => poisonFreed(true));
afterAll(() => poisonFreed(false));

const bodySteps = fc.array(fc.tuple(fc.nat(99), fc.nat(30), fc.nat(30)), { maxLength: 8, size: "max" });
const actions = fc.array(
  fc.record<Action>({
    kind: fc.nat(99),
    a: fc.nat(99),
    b: fc.nat(99),
    c: fc.nat(99),
    body: bodySteps,
  }),
  { maxLength: 60, size: "max" },
);

test.prop([actions], { numRuns: 800 })(
  "every value is right or refused, and nothing is left behind",
  (program) => {
    const before = heapUsage().live;
    const world = new World();
    try {
      for (const action of program) {
        world.act(action);
        world.check();
      }
    } finally {
      world.end(); // scopes end also when a check has failed, or the next program would start inside them
    }
    expect(heapUsage().live).toBe(before);
  },
);
