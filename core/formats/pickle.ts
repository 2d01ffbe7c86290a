import { toHex, toLatin1 } from "./bytes.ts";
import { FormatError } from "./format-error.ts";

/**
 * A restricted unpickler: it builds plain values and what the caller's table of names allows, and executes nothing.
 *
 * Python's pickles are programs for a small stack machine, and the dangerous part is that they may name any importable
 * function and call it. Here a name is only a key in a table. A name outside it is refused ("refuse"), or becomes an
 * inert Stub that records what the pickle wanted ("stub"), so that the rest of a checkpoint can be walked.
 *
 * Python → here: None null, bool, int number (bigint beyond 2^53), float number, str string, bytes Uint8Array,
 * tuple frozen array, list array, dict Map, set Set, OrderedDict and others as the table says.
 */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions): unknown {
  return new Machine(bytes, options).run();
}

export interface UnpickleOptions {
  /** Names the source in errors. */
  readonly who: string;
  /** "module.name" → what it means here. */
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  readonly unknownGlobals: "refuse" | "stub";
  /** Turns a persistent id (PyTorch: a storage) into a value. */
  readonly persistentLoad: (id: unknown) => unknown;
}

/** A name a pickle may mention. */
export interface PickleGlobal {
  /** "module.name". */
  readonly path: string;
  /** What calling it makes; without this it is a mere constant, such as an element type. */
  readonly call?: (args: readonly unknown[]) => unknown;
}

/** An object that accepts BUILD, Python's `__setstate__`. */
export interface Buildable {
  build(state: unknown): void;
}

/** What a pickle wanted to make of a name outside the table. Nothing behind the name ever ran. */
export class Stub implements Buildable {
  readonly path: string;
  readonly args: readonly unknown[];
  state: unknown = undefined;
  /** Filled where Python would have appended to a list, set or deque. */
  readonly items: unknown[] = [];
  /** Filled where Python would have set keys. */
  readonly entries: Map<unknown, unknown> = new Map();

  constructor(path: string, args: readonly unknown[]) {
    this.path = path;
    this.args = args;
  }

  build(state: unknown): void {
    this.state = state;
  }
}

/** collections.OrderedDict; attributes set on it (a state dict's version notes) are of no use here and dropped. */
export class OrderedDict extends Map<unknown, unknown> implements Buildable {
  build(_attributes: unknown): void {}
}

/** The name an unknown global becomes in "stub" mode; calling it makes a Stub. */
class StubGlobal implements PickleGlobal {
  readonly path: string;
  constructor(path: string) {
    this.path = path;
  }
  call(args: readonly unknown[]): Stub {
    return new Stub(this.path, args);
  }
}

/**
 * A pickle holds structure; bulk data lives elsewhere. A tensor takes about forty opcodes, so that these bounds have
 * room for 25,000, while the worst pickle (nothing but empty dicts) stays at a quarter of a gigabyte. Nothing that an
 * opcode makes may be much larger than the opcode, or a few bytes that repeat would take hours and all memory: names
 * are short, and what calls make is counted.
 */
const MAX_BYTES = 64 * 2 ** 20;
const MAX_OPCODES = 1_000_000;
const MAX_MARKS = 1000;
const MAX_NESTING = 200;
/** Longest name of a module or of something in it, characters. */
const MAX_NAME = 500;
/** Bytes and characters that all calls of one pickle may make beyond as many as it has bytes. */
const MAX_EXPANSION = 2 ** 20;

class Machine {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly options: UnpickleOptions;
  readonly stack: unknown[] = [];
  readonly marks: number[] = [];
  readonly memo = new Map<number, unknown>();
  readonly stubs = new Map<string, StubGlobal>();
  at = 0;
  opcodeAt = 0;
  /** Bytes and characters made by calls. */
  made = 0;

  constructor(bytes: Uint8Array, options: UnpickleOptions) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.options = options;
    if (bytes.length > MAX_BYTES) this.fail(`a pickle of at most ${MAX_BYTES} bytes`, `${bytes.length}`);
  }

  run(): unknown {
    for (let count = 0; ; count++) {
      if (count === MAX_OPCODES) this.fail(`at most ${MAX_OPCODES} opcodes`, "more");
      this.opcodeAt = this.at;
      const opcode = this.u8();
      if (opcode === STOP) break;
      const execute = OPCODES[opcode];
      if (execute === undefined) {
        this.fail("an opcode of plain data", `0x${opcode.toString(16).padStart(2, "0")}`);
      }
      execute(this);
    }
    if (this.stack.length !== 1 || this.marks.length > 0) {
      this.fail("one value at the end", `${this.stack.length} and ${this.marks.length} marks`);
    }
    if (this.at !== this.bytes.length) {
      this.fail("the end of the data after STOP", `${this.bytes.length - this.at} more bytes`);
    }
    const result = this.stack[0];
    this.checkNesting(result);
    return result;
  }

  checkProtocol(version: number): void {
    if (version > 5) this.fail("pickle protocol 5 or below", `${version}`);
  }

  checkFrame(length: bigint): void {
    const left = this.bytes.length - this.at;
    if (length > left) this.fail(`a frame inside the ${left} bytes left`, `${length}`);
  }

  mark(): void {
    if (this.marks.length === MAX_MARKS) this.fail(`at most ${MAX_MARKS} open marks`, "more");
    this.marks.push(this.stack.length);
  }

  popValueOrMark(): void {
    if (this.marks.at(-1) === this.stack.length) this.marks.pop();
    else this.pop();
  }

  append(values: unknown[]): void {
    const target = this.top();
    if (target instanceof Stub) appendAll(target.items, values);
    else if (isList(target)) appendAll(target, values);
    else this.fail("a list to append to", describe(target));
  }

  setItems(pairs: unknown[]): void {
    const target = this.top();
    const map = target instanceof Stub ? target.entries : target;
    if (!(map instanceof Map)) this.fail("a dict to set keys in", describe(target));
    if (pairs.length % 2 !== 0) this.fail("keys and values in pairs", `${pairs.length} values`);
    for (let i = 0; i < pairs.length; i += 2) map.set(this.hashable(pairs[i]), pairs[i + 1]);
  }

  addItems(values: unknown[]): void {
    const target = this.top();
    if (target instanceof Stub) appendAll(target.items, values);
    else if (target instanceof Set) for (const value of values) target.add(this.hashable(value));
    else this.fail("a set to add to", describe(target));
  }

  hashable(key: unknown): unknown {
    if (key instanceof Map || key instanceof Set || isList(key)) this.fail("a hashable key", describe(key));
    // Maps tell bigints apart by their lowest 64 bits first: many that share them take a time that grows as the square.
    if (typeof key === "bigint") this.fail("a key below 2^53", describe(key));
    return key;
  }

  global(module?: unknown, name?: unknown): PickleGlobal {
    if (typeof module !== "string" || typeof name !== "string") {
      this.fail("two strings to name a global", `${describe(module)} and ${describe(name)}`);
    }
    if (module.length > MAX_NAME || name.length > MAX_NAME) {
      this.fail(`names of at most ${MAX_NAME} characters`, `${Math.max(module.length, name.length)}`);
    }
    const path = `${module}.${name}`;
    const known = this.options.globals.get(path);
    if (known !== undefined) return known;
    if (this.options.unknownGlobals === "refuse") {
      this.fail("only tensors and plain containers", `the global ${path}, which is refused`);
    }
    let stub = this.stubs.get(path);
    if (stub === undefined) this.stubs.set(path, (stub = new StubGlobal(path)));
    return stub;
  }

  call(callee?: unknown, args?: unknown): unknown {
    if (!isGlobal(callee)) this.fail("a global to call", describe(callee));
    if (!Array.isArray(args)) this.fail(`a tuple of arguments for ${callee.path}`, describe(args));
    if (callee.call === undefined) this.fail("something callable", callee.path);
    const value = callee.call(args);
    if (typeof value === "string" || value instanceof Uint8Array) this.made += value.length;
    const most = this.bytes.length + MAX_EXPANSION;
    if (this.made > most) this.fail(`at most ${most} bytes made by calls`, "more");
    return value;
  }

  buildTop(state: unknown): void {
    const target = this.top();
    if (!isBuildable(target)) this.fail("an object that takes a state", describe(target));
    target.build(state);
  }

  remember(slot: number): void {
    this.memo.set(slot, this.top());
  }

  recall(slot: number): unknown {
    if (!this.memo.has(slot)) this.fail("a remembered value", `nothing in memo slot ${slot}`);
    return this.memo.get(slot);
  }

  push(value: unknown): void {
    this.stack.push(value);
  }

  /** The lowest stack position the current mark leaves to opcodes that take no mark. */
  floor(): number {
    return this.marks.at(-1) ?? 0;
  }

  top(): unknown {
    if (this.stack.length <= this.floor()) this.fail("a value on the stack", "none");
    return this.stack.at(-1);
  }

  pop(): unknown {
    this.top();
    return this.stack.pop();
  }

  popSome(count: number): unknown[] {
    if (this.stack.length - count < this.floor()) this.fail(`${count} values on the stack`, "fewer");
    return this.stack.splice(-count);
  }

  popToMark(): unknown[] {
    const mark = this.marks.pop();
    if (mark === undefined) this.fail("a mark", "none");
    return this.stack.splice(mark);
  }

  /** Advances over `length` bytes and returns where they start. */
  take(length: number): number {
    const start = this.at;
    const left = this.bytes.length - start;
    if (length > left) this.fail(`${length} more bytes`, `${left}: the pickle is cut off`);
    this.at = start + length;
    return start;
  }

  u8(): number {
    return this.bytes[this.take(1)];
  }

  u16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  u64(): bigint {
    return this.view.getBigUint64(this.take(8), true);
  }

  i32(): number {
    return this.view.getInt32(this.take(4), true);
  }

  /** The one big-endian number in the format. */
  f64(): number {
    return this.view.getFloat64(this.take(8), false);
  }

  blob(length: number): Uint8Array {
    const start = this.take(length);
    return new Uint8Array(this.bytes.subarray(start, start + length));
  }

  text(length: number): string {
    const start = this.take(length);
    try {
      return UTF8.decode(this.bytes.subarray(start, start + length));
    } catch {
      this.fail("a string in UTF-8", "other bytes");
    }
  }

  /** Little-endian two's complement of any length up to 255. */
  long(length: number): number | bigint {
    const digits = this.blob(length).reverse();
    if (length === 0) return 0;
    const raw = BigInt(`0x${toHex(digits)}`);
    const value = BigInt.asIntN(length * 8, raw);
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }

  /** One newline-terminated line of a GLOBAL. */
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) this.fail("a line naming a global", "the end of the pickle");
    const text = this.text(end - this.at);
    this.at = end + 1;
    return text;
  }

  /** Breadth first, so neither sharing nor cycles cost anything, and nothing recurses. */
  checkNesting(root: unknown): void {
    const seen = new Set<object>();
    let level: unknown[] = [root];
    for (let depth = 0; level.length > 0; depth++) {
      if (depth > MAX_NESTING) this.fail(`values nested at most ${MAX_NESTING} deep`, "deeper");
      const next: unknown[] = [];
      for (const value of level) {
        if (typeof value !== "object" || value === null || seen.has(value)) continue;
        seen.add(value);
        for (const child of childrenOf(value)) next.push(child);
      }
      level = next;
    }
  }

  fail(expected: string, found: string): never {
    throw new FormatError(`${this.options.who}, pickle byte ${this.opcodeAt}`, expected, found);
  }
}

const STOP = 0x2e;

/** The opcodes that plain data and tensors need, named as in Python's pickletools; any other is refused. */
const OPCODES: Readonly<Record<number, (m: Machine) => void>> = {
  128: (m) => m.checkProtocol(m.u8()), // PROTO
  149: (m) => m.checkFrame(m.u64()), // FRAME
  40: (m) => m.mark(), // MARK
  48: (m) => m.popValueOrMark(), // POP
  49: (m) => m.popToMark(), // POP_MARK

  78: (m) => m.push(null), // NONE
  136: (m) => m.push(true), // NEWTRUE
  137: (m) => m.push(false), // NEWFALSE
  75: (m) => m.push(m.u8()), // BININT1
  77: (m) => m.push(m.u16()), // BININT2
  74: (m) => m.push(m.i32()), // BININT
  138: (m) => m.push(m.long(m.u8())), // LONG1
  71: (m) => m.push(m.f64()), // BINFLOAT
  88: (m) => m.push(m.text(m.u32())), // BINUNICODE
  140: (m) => m.push(m.text(m.u8())), // SHORT_BINUNICODE
  85: (m) => m.push(toLatin1(m.blob(m.u8()))), // SHORT_BINSTRING, Python 2's str
  66: (m) => m.push(m.blob(m.u32())), // BINBYTES
  67: (m) => m.push(m.blob(m.u8())), // SHORT_BINBYTES

  41: (m) => m.push(Object.freeze([])), // EMPTY_TUPLE
  133: (m) => m.push(Object.freeze(m.popSome(1))), // TUPLE1
  134: (m) => m.push(Object.freeze(m.popSome(2))), // TUPLE2
  135: (m) => m.push(Object.freeze(m.popSome(3))), // TUPLE3
  116: (m) => m.push(Object.freeze(m.popToMark())), // TUPLE
  93: (m) => m.push([]), // EMPTY_LIST
  97: (m) => m.append(m.popSome(1)), // APPEND
  101: (m) => m.append(m.popToMark()), // APPENDS
  125: (m) => m.push(new Map()), // EMPTY_DICT
  115: (m) => m.setItems(m.popSome(2)), // SETITEM
  117: (m) => m.setItems(m.popToMark()), // SETITEMS
  143: (m) => m.push(new Set()), // EMPTY_SET
  144: (m) => m.addItems(m.popToMark()), // ADDITEMS

  113: (m) => m.remember(m.u8()), // BINPUT
  114: (m) => m.remember(m.u32()), // LONG_BINPUT
  148: (m) => m.remember(m.memo.size), // MEMOIZE
  104: (m) => m.push(m.recall(m.u8())), // BINGET
  106: (m) => m.push(m.recall(m.u32())), // LONG_BINGET

  99: (m) => m.push(m.global(m.line(), m.line())), // GLOBAL
  147: (m) => m.push(m.global(...m.popSome(2))), // STACK_GLOBAL
  82: (m) => m.push(m.call(...m.popSome(2))), // REDUCE
  129: (m) => m.push(m.call(...m.popSome(2))), // NEWOBJ: for the classes in our tables the same as a call
  98: (m) => m.buildTop(m.pop()), // BUILD
  81: (m) => m.push(m.options.persistentLoad(m.pop())), // BINPERSID
};

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What hangs directly below a container; nothing for anything else. */
function* childrenOf(value: unknown): Iterable<unknown> {
  if (Array.isArray(value) || value instanceof Set) yield* value;
  else if (value instanceof Map) {
    for (const [key, child] of value) {
      yield key;
      yield child;
    }
  } else if (value instanceof Stub) {
    yield value.args;
    yield value.state;
    yield value.items;
    yield value.entries;
  }
}

/** A few words on a value, for error messages. */
export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "None";
  if (typeof value === "string") return `the string ${JSON.stringify(value.slice(0, 60))}`;
  if (typeof value === "bigint") return `a number beyond 2^53`;
  if (typeof value !== "object") return `${typeof value} ${value}`;
  if (isGlobal(value)) return `the name ${value.path}`;
  if (value instanceof Stub) return `an object of ${value.path}`;
  if (Array.isArray(value)) return `a ${isList(value) ? "list" : "tuple"} of ${value.length}`;
  if (value instanceof Map) return `a dict of ${value.size}`;
  if (value instanceof Set) return `a set of ${value.size}`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return `a ${value.constructor.name}`;
}

const isList = (value: unknown): value is unknown[] => Array.isArray(value) && !Object.isFrozen(value);

const isGlobal = (value: unknown): value is PickleGlobal =>
  typeof value === "object" && value !== null && "path" in value && !(value instanceof Stub);

const isBuildable = (value: unknown): value is Buildable =>
  typeof value === "object" && value !== null && "build" in value;

/** `push(...values)` would overflow the call stack on long lists. */
function appendAll(target: unknown[], values: readonly unknown[]): void {
  for (const value of values) target.push(value);
}
