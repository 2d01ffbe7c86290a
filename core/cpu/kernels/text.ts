/**
 * Kernels in WebAssembly's text form, to be read: what the assembler has written, one instruction a line, indented by
 * the blocks it stands in. Names are those of the specification (WebAssembly 3.0, section 6.5).
 */

/** Names of opcodes in a row: two numbers, then the names from the first to the second, "-" for none. */
const SCALAR = named(`
  00 11 unreachable nop block loop if else - - - - - end br br_if br_table return call call_indirect
  1a 1b drop select
  20 24 local.get local.set local.tee global.get global.set
  28 35 i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u i64.load8_s i64.load8_u
    i64.load16_s i64.load16_u i64.load32_s i64.load32_u
  36 40 i32.store i64.store f32.store f64.store i32.store8 i32.store16 i64.store8 i64.store16 i64.store32 memory.size
    memory.grow
  41 44 i32.const i64.const f32.const f64.const
  45 4f i32.eqz i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u
  5b 66 f32.eq f32.ne f32.lt f32.gt f32.le f32.ge f64.eq f64.ne f64.lt f64.gt f64.le f64.ge
  67 78 i32.clz i32.ctz i32.popcnt i32.add i32.sub i32.mul i32.div_s i32.div_u i32.rem_s i32.rem_u i32.and i32.or
    i32.xor i32.shl i32.shr_s i32.shr_u i32.rotl i32.rotr
  8b 98 f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt f32.add f32.sub f32.mul f32.div f32.min
    f32.max f32.copysign
  99 a6 f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt f64.add f64.sub f64.mul f64.div f64.min
    f64.max f64.copysign
  a7 ab i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u
  b2 b3 f32.convert_i32_s f32.convert_i32_u
  b6 b8 f32.demote_f64 f64.convert_i32_s f64.convert_i32_u
  bb bf f64.promote_f32 i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64
  c0 c1 i32.extend8_s i32.extend16_s`);

/** Those behind the byte 0xfd: 128-bit vectors. */
const VECTOR = named(`
  00 0d v128.load v128.load8x8_s v128.load8x8_u v128.load16x4_s v128.load16x4_u v128.load32x2_s v128.load32x2_u
    v128.load8_splat v128.load16_splat v128.load32_splat v128.load64_splat v128.store v128.const i8x16.shuffle
  0e 14 i8x16.swizzle i8x16.splat i16x8.splat i32x4.splat i64x2.splat f32x4.splat f64x2.splat
  15 22 i8x16.extract_lane_s i8x16.extract_lane_u i8x16.replace_lane i16x8.extract_lane_s i16x8.extract_lane_u
    i16x8.replace_lane i32x4.extract_lane i32x4.replace_lane i64x2.extract_lane i64x2.replace_lane f32x4.extract_lane
    f32x4.replace_lane f64x2.extract_lane f64x2.replace_lane
  23 2c i8x16.eq i8x16.ne i8x16.lt_s i8x16.lt_u i8x16.gt_s i8x16.gt_u i8x16.le_s i8x16.le_u i8x16.ge_s i8x16.ge_u
  2d 36 i16x8.eq i16x8.ne i16x8.lt_s i16x8.lt_u i16x8.gt_s i16x8.gt_u i16x8.le_s i16x8.le_u i16x8.ge_s i16x8.ge_u
  37 40 i32x4.eq i32x4.ne i32x4.lt_s i32x4.lt_u i32x4.gt_s i32x4.gt_u i32x4.le_s i32x4.le_u i32x4.ge_s i32x4.ge_u
  41 4c f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le f32x4.ge f64x2.eq f64x2.ne f64x2.lt f64x2.gt f64x2.le f64x2.ge
  4d 53 v128.not v128.and v128.andnot v128.or v128.xor v128.bitselect v128.any_true
  54 5d v128.load8_lane v128.load16_lane v128.load32_lane v128.load64_lane v128.store8_lane v128.store16_lane
    v128.store32_lane v128.store64_lane v128.load32_zero v128.load64_zero
  5e 5f f32x4.demote_f64x2_zero f64x2.promote_low_f32x4
  60 66 i8x16.abs i8x16.neg i8x16.popcnt i8x16.all_true i8x16.bitmask i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u
  67 73 f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest i8x16.shl i8x16.shr_s i8x16.shr_u i8x16.add i8x16.add_sat_s
    i8x16.add_sat_u i8x16.sub i8x16.sub_sat_s i8x16.sub_sat_u
  74 7b f64x2.ceil f64x2.floor i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u f64x2.trunc i8x16.avgr_u
  7c 7f i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u i32x4.extadd_pairwise_i16x8_s
    i32x4.extadd_pairwise_i16x8_u
  80 8a i16x8.abs i16x8.neg i16x8.q15mulr_sat_s i16x8.all_true i16x8.bitmask i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u
    i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s i16x8.extend_low_i8x16_u i16x8.extend_high_i8x16_u
  8b 95 i16x8.shl i16x8.shr_s i16x8.shr_u i16x8.add i16x8.add_sat_s i16x8.add_sat_u i16x8.sub i16x8.sub_sat_s
    i16x8.sub_sat_u f64x2.nearest i16x8.mul
  96 9f i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u - i16x8.avgr_u i16x8.extmul_low_i8x16_s
    i16x8.extmul_high_i8x16_s i16x8.extmul_low_i8x16_u i16x8.extmul_high_i8x16_u
  a0 aa i32x4.abs i32x4.neg - i32x4.all_true i32x4.bitmask - - i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s
    i32x4.extend_low_i16x8_u i32x4.extend_high_i16x8_u
  ab b5 i32x4.shl i32x4.shr_s i32x4.shr_u i32x4.add - - i32x4.sub - - - i32x4.mul
  b6 bf i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u i32x4.dot_i16x8_s - i32x4.extmul_low_i16x8_s
    i32x4.extmul_high_i16x8_s i32x4.extmul_low_i16x8_u i32x4.extmul_high_i16x8_u
  c0 ca i64x2.abs i64x2.neg - i64x2.all_true i64x2.bitmask - - i64x2.extend_low_i32x4_s i64x2.extend_high_i32x4_s
    i64x2.extend_low_i32x4_u i64x2.extend_high_i32x4_u
  cb db i64x2.shl i64x2.shr_s i64x2.shr_u i64x2.add - - i64x2.sub - - - i64x2.mul i64x2.eq i64x2.ne i64x2.lt_s
    i64x2.gt_s i64x2.le_s i64x2.ge_s
  e0 eb f32x4.abs f32x4.neg - f32x4.sqrt f32x4.add f32x4.sub f32x4.mul f32x4.div f32x4.min f32x4.max f32x4.pmin
    f32x4.pmax
  ec f7 f64x2.abs f64x2.neg - f64x2.sqrt f64x2.add f64x2.sub f64x2.mul f64x2.div f64x2.min f64x2.max f64x2.pmin
    f64x2.pmax
  f8 ff i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s f32x4.convert_i32x4_u
    i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u
  100 108 i8x16.relaxed_swizzle i32x4.relaxed_trunc_f32x4_s i32x4.relaxed_trunc_f32x4_u
    i32x4.relaxed_trunc_f64x2_s_zero i32x4.relaxed_trunc_f64x2_u_zero f32x4.relaxed_madd f32x4.relaxed_nmadd
    f64x2.relaxed_madd f64x2.relaxed_nmadd
  109 114 i8x16.relaxed_laneselect i16x8.relaxed_laneselect i32x4.relaxed_laneselect i64x2.relaxed_laneselect
    f32x4.relaxed_min f32x4.relaxed_max f64x2.relaxed_min f64x2.relaxed_max i16x8.relaxed_q15mulr_s
    i16x8.relaxed_dot_i8x16_i7x16_s i32x4.relaxed_dot_i8x16_i7x16_add_s -`);

const TYPES: Readonly<Record<number, string>> = {
  127: "i32",
  126: "i64",
  125: "f32",
  124: "f64",
  123: "v128",
};
const CODE_SECTION = 10;

/** The functions of a module that the assembler has written. Throws for an instruction that it does not know. */
export function kernelText(bytes: Uint8Array): string {
  const read = new Reader(bytes, 8);
  while (!read.done) {
    const [id, size] = [read.byte(), read.unsigned()];
    if (id === CODE_SECTION) {
      const functions = Array.from({ length: read.unsigned() }, () => functionText(read));
      return functions.join("\n\n");
    }
    read.at += size;
  }
  throw new Error("kernelText: expected a module with code, found none");
}

function functionText(read: Reader): string {
  const size = read.unsigned();
  const end = read.at + size;
  const lines: string[] = [];
  for (let groups = read.unsigned(); groups > 0; groups--)
    lines.push(`(local ${read.unsigned()} x ${TYPES[read.byte()]})`);
  for (let depth = 0; read.at < end; ) {
    const text = instruction(read);
    if (text === "end" || text === "else") depth--;
    // The last "end" closes the function itself.
    if (read.at < end) lines.push("  ".repeat(Math.max(0, depth)) + text);
    if (/^(block|loop|if|else)/.test(text)) depth++;
  }
  return lines.join("\n");
}

function instruction(read: Reader): string {
  const at = read.at;
  const opcode = read.byte();
  const isVector = opcode === 0xfd;
  const name = isVector ? VECTOR.get(read.unsigned()) : SCALAR.get(opcode);
  if (name === undefined)
    throw new Error(`kernelText: expected a known instruction at byte ${at}, found 0x${opcode.toString(16)}`);
  return [name, ...immediates(name, read)].join(" ");
}

/** What follows an opcode, as the text form has it. */
function immediates(name: string, read: Reader): string[] {
  if (/^(block|loop|if)$/.test(name)) {
    const type = read.byte();
    return type === 0x40 ? [] : [`(result ${TYPES[type]})`];
  }
  if (/^(br|br_if|call|local\..*|global\..*)$/.test(name)) return [`${read.unsigned()}`];
  if (/\.(load|store)/.test(name)) {
    const [align, offset] = [read.unsigned(), read.unsigned()];
    const lane = name.endsWith("_lane") ? [`${read.byte()}`] : [];
    return [...(offset > 0 ? [`offset=${offset}`] : []), `align=${2 ** align}`, ...lane];
  }
  if (name.includes("_lane")) return [`${read.byte()}`];
  if (name === "i32.const") return [`${read.signed()}`];
  if (name === "f32.const") return [`${read.view(4).getFloat32(0, true)}`];
  if (name === "f64.const") return [`${read.view(8).getFloat64(0, true)}`];
  if (name === "v128.const") {
    const view = read.view(16);
    return ["i32x4", ...[0, 4, 8, 12].map((byte) => `0x${view.getUint32(byte, true).toString(16)}`)];
  }
  if (name === "i8x16.shuffle") return Array.from({ length: 16 }, () => `${read.byte()}`);
  return [];
}

/** Bytes in order, and LEB128 numbers among them. */
class Reader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  get done(): boolean {
    return this.at >= this.#bytes.length;
  }

  byte(): number {
    return this.#bytes[this.at++];
  }

  unsigned(): number {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  }

  signed(): number {
    const from = this.at;
    const value = this.unsigned();
    const isNegative = (this.#bytes[this.at - 1] & 0x40) !== 0;
    return isNegative ? value - 128 ** (this.at - from) : value;
  }

  view(bytes: number): DataView {
    this.at += bytes;
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.at - bytes, bytes);
  }
}

function named(table: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  const rows = table.trim().split(/\n {2}(?! )/);
  for (const row of rows) {
    const [first, last, ...words] = row.trim().split(/\s+/);
    const begin = Number.parseInt(first, 16);
    if (words.length !== Number.parseInt(last, 16) - begin + 1)
      throw new Error(`opcodes from ${first} to ${last}: ${words.length}`);
    words.forEach((word, i) => {
      if (word !== "-") names.set(begin + i, word);
    });
  }
  return names;
}
