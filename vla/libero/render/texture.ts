import type { MjModel } from "@mujoco/mujoco";
import type { Compat } from "./compat.ts";
import { LEVEL, LEVEL_BYTES, PYRAMID, TEXTURE, TEXTURE_BYTES } from "./layout.ts";
import type { RenderMemory } from "./memory.ts";

/** `mjtTexture` and `mjtColorSpace` of MuJoCo. */
const TEXTURE_2D = 0;
const SKYBOX = 2;
const COLORSPACE_SRGB = 2;

/** One level of a mipmap pyramid: RGB bytes, (height, width, 3), first row at v = 0. */
export interface Level {
  readonly width: number;
  readonly height: number;
  readonly texels: Uint8Array;
}

/** A picture with its mipmaps down to one texel, each made on first use. */
export class Pyramid {
  /** Size of level 0, texels. */
  readonly width: number;
  readonly height: number;
  /** How many levels there are. */
  readonly count: number;
  /** Where the kernels find it: `PYRAMID` of layout.ts. */
  readonly address: number;
  readonly #memory: RenderMemory;
  readonly #read: () => Uint8Array;
  readonly #srgb: boolean;
  readonly #levels: Level[] = [];
  readonly #block: Int32Array;

  /**
   * `read` gives level 0 when it is needed; sRGB levels are averaged as light, not as bytes. `number` is what the
   * kernels call it.
   */
  constructor(
    memory: RenderMemory,
    number: number,
    width: number,
    height: number,
    srgb: boolean,
    read: () => Uint8Array,
  ) {
    this.width = width;
    this.height = height;
    this.count = 1 + Math.floor(Math.log2(Math.max(width, height)));
    this.#memory = memory;
    this.#srgb = srgb;
    this.#read = read;
    const bytes = PYRAMID.levels + this.count * LEVEL_BYTES;
    this.#block = memory.ints(bytes / 4);
    this.address = this.#block.byteOffset;
    this.#block[PYRAMID.count / 4] = this.count;
    this.#block[PYRAMID.number / 4] = number;
    const sizes = new Float64Array(this.#block.buffer, this.address, bytes / 8);
    for (let level = 0; level < this.count; level++) {
      const at = (PYRAMID.levels + level * LEVEL_BYTES) / 8;
      sizes[at + LEVEL.width / 8] = Math.max(1, width >> level);
      sizes[at + LEVEL.height / 8] = Math.max(1, height >> level);
    }
  }

  level(index: number): Level {
    return this.#levels[index] ?? this.#make(index);
  }

  /**
   * What the next level is made of. Level 0 is not kept for that: of a large picture seen from afar nobody looks at it.
   */
  #finer(index: number): Level {
    if (index > 0 || this.#levels[0]) return this.level(index);
    return { width: this.width, height: this.height, texels: this.#read() };
  }

  #make(index: number): Level {
    const { width, height } = this;
    const level =
      index === 0
        ? { width, height, texels: this.#memory.copy(this.#read()) }
        : halve(this.#finer(index - 1), this.#srgb, this.#memory);
    this.#levels[index] = level;
    this.#block[(PYRAMID.levels + index * LEVEL_BYTES + LEVEL.texels) / 4] = level.texels.byteOffset;
    return level;
  }
}

/** A texture with its mipmaps. */
export interface Texture {
  readonly kind: "2d" | "cube";
  /** One for a 2D texture, six (+x -x +y -y +z -z) for a cube. */
  readonly faces: readonly Pyramid[];
  /** Stored byte → colour in [0, 1], in the kernels' memory. */
  readonly decode: Float64Array;
  /** Where the kernels find it: `TEXTURE` of layout.ts. */
  readonly address: number;
}

/** Stored byte → colour in [0, 1], as float32. */
export const LINEAR: Float64Array = Float64Array.from({ length: 256 }, (_, i) => Math.fround(i / 255));
const SRGB = Float64Array.from({ length: 256 }, (_, i) => {
  const c = i / 255;
  return Math.fround(c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
});

/** Linear colour in steps of 1/8191 → nearest sRGB byte; fine enough for the steep dark end (slope 12.92). */
const ENCODE_STEPS = 8191;
const ENCODE_SRGB = Uint8Array.from({ length: ENCODE_STEPS + 1 }, (_, i) => {
  const c = i / ENCODE_STEPS;
  return Math.round(255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055));
});

/** The textures of a model, each read on first use. */
export class Textures {
  readonly #model: MjModel;
  readonly #compat: Compat;
  readonly #memory: RenderMemory;
  readonly #read = new Map<number, Texture>();
  readonly #pyramids: Pyramid[] = [];
  readonly #linear: Float64Array;
  readonly #srgb: Float64Array;

  constructor(model: MjModel, compat: Compat, memory: RenderMemory) {
    this.#linear = memory.copy(LINEAR);
    this.#srgb = memory.copy(SRGB);
    this.#model = model;
    this.#compat = compat;
    this.#memory = memory;
  }

  /** Throws for textures without red, green and blue. */
  get(id: number): Texture {
    let texture = this.#read.get(id);
    if (!texture) this.#read.set(id, (texture = this.#make(id)));
    return texture;
  }

  /** Makes a level of a pyramid, by their numbers, and returns the address of its texels. */
  makeLevel(pyramid: number, level: number): number {
    return this.#pyramids[pyramid].level(level).texels.byteOffset;
  }

  #make(id: number): Texture {
    const model = this.#model;
    const width: number = model.tex_width[id];
    const height: number = model.tex_height[id];
    const channels: number = model.tex_nchannel[id];
    if (channels < 3) {
      throw new Error(`createRenderer: expected texture ${id} to have 3 or 4 channels, found ${channels}`);
    }
    const flat = model.tex_type[id] === TEXTURE_2D;
    // MuJoCo 3.3.3 began to decode sRGB images when sampling; nothing encodes the picture again.
    const srgb = flat && this.#compat === "mujoco-3.14" && model.tex_colorspace[id] === COLORSPACE_SRGB;
    const decode = srgb ? this.#srgb : this.#linear;
    const start = Number(model.tex_adr[id]);
    const pyramid = (face: number, w: number, h: number): Pyramid => {
      const made = new Pyramid(this.#memory, this.#pyramids.length, w, h, srgb, () => {
        const first = start + face * channels * w * h;
        return rgbOf(model.tex_data.subarray(first, first + channels * w * h), channels);
      });
      this.#pyramids.push(made);
      return made;
    };
    if (flat) return holdTexture(this.#memory, "2d", [pyramid(0, width, height)], decode);
    if (width === height) {
      const one = pyramid(0, width, width);
      return holdTexture(this.#memory, "cube", [one, one, one, one, one, one], decode);
    }
    const faces = [0, 1, 2, 3, 4, 5].map((face) => pyramid(face, width, width));
    return holdTexture(this.#memory, "cube", faces, decode);
  }
}

/** A texture of these faces, which the kernels find in their memory. */
export function holdTexture(
  memory: RenderMemory,
  kind: Texture["kind"],
  faces: readonly Pyramid[],
  decode: Float64Array,
): Texture {
  const block = memory.ints(TEXTURE_BYTES / 4);
  block[TEXTURE.isCube / 4] = kind === "cube" ? 1 : 0;
  block[TEXTURE.decode / 4] = decode.byteOffset;
  faces.forEach((face, i) => {
    block[TEXTURE.faces / 4 + i] = face.address;
  });
  return { kind, faces, decode, address: block.byteOffset };
}

/** The texture drawn behind everything: the first skybox of the model, or -1. */
export function skyboxOf(model: MjModel): number {
  return Array.from(model.tex_type as Int32Array).indexOf(SKYBOX);
}

function rgbOf(bytes: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return bytes;
  const rgb = new Uint8Array((3 * bytes.length) / channels);
  for (let i = 0, o = 0; i < bytes.length; i += channels, o += 3) {
    rgb[o] = bytes[i];
    rgb[o + 1] = bytes[i + 1];
    rgb[o + 2] = bytes[i + 2];
  }
  return rgb;
}

/** Half the size, rounded down; each texel is a linear lookup at its centre (the mean of four for even sizes). */
function halve(from: Level, srgb: boolean, memory: RenderMemory): Level {
  const width = Math.max(1, from.width >> 1);
  const height = Math.max(1, from.height >> 1);
  const texels = memory.bytes(3 * width * height);
  if (!srgb && from.width === 2 * width && from.height === 2 * height) {
    meanOfFour(from, texels);
    return { width, height, texels };
  }
  const decode = srgb ? SRGB : LINEAR;
  const { texels: source } = from;
  for (let y = 0; y < height; y++) {
    const fy = ((y + 0.5) * from.height) / height - 0.5;
    const y0 = Math.floor(fy);
    const ty = fy - y0;
    const row0 = 3 * from.width * y0;
    const row1 = 3 * from.width * Math.min(from.height - 1, y0 + 1);
    for (let x = 0; x < width; x++) {
      const fx = ((x + 0.5) * from.width) / width - 0.5;
      const x0 = Math.floor(fx);
      const tx = fx - x0;
      const left = 3 * x0;
      const right = 3 * Math.min(from.width - 1, x0 + 1);
      for (let c = 0; c < 3; c++) {
        const near = decode[source[row0 + left + c]] * (1 - tx) + decode[source[row0 + right + c]] * tx;
        const far = decode[source[row1 + left + c]] * (1 - tx) + decode[source[row1 + right + c]] * tx;
        const mean = near * (1 - ty) + far * ty;
        texels[3 * (y * width + x) + c] = srgb
          ? ENCODE_SRGB[(mean * ENCODE_STEPS + 0.5) | 0]
          : (mean * 255 + 0.5) | 0;
      }
    }
  }
  return { width, height, texels };
}

/** A quarter of what `LINEAR` says, times 255. A product of 24 and 8 bits: sums of four of them are exact. */
const QUARTERS = LINEAR.map((color) => (color * 255) / 4);

/**
 * What `halve` does, bit for bit and in a third of the time, where both sides are even and bytes are averaged as they
 * are.
 */
function meanOfFour({ width, height, texels: from }: Level, out: Uint8Array): void {
  const row = 3 * width;
  const quarters = QUARTERS;
  let to = 0;
  for (let y = 0; y < height; y += 2) {
    const end = row * (y + 1);
    // Red, green and blue one by one: a loop over three takes half as long again.
    for (let a = row * y; a < end; a += 6, to += 3) {
      const b = a + row;
      const red = quarters[from[a]] + quarters[from[a + 3]] + quarters[from[b]] + quarters[from[b + 3]];
      const green =
        quarters[from[a + 1]] + quarters[from[a + 4]] + quarters[from[b + 1]] + quarters[from[b + 4]];
      const blue =
        quarters[from[a + 2]] + quarters[from[a + 5]] + quarters[from[b + 2]] + quarters[from[b + 5]];
      out[to] = (red + 0.5) | 0;
      out[to + 1] = (green + 0.5) | 0;
      out[to + 2] = (blue + 0.5) | 0;
    }
  }
}
