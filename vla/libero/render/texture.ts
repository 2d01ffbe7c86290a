import type { MjModel } from "@mujoco/mujoco";
import type { Compat } from "./compat.ts";

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
  readonly #read: () => Uint8Array;
  readonly #srgb: boolean;
  readonly #levels: Level[] = [];

  /** `read` gives level 0 when it is needed; sRGB levels are averaged as light, not as bytes. */
  constructor(width: number, height: number, srgb: boolean, read: () => Uint8Array) {
    this.width = width;
    this.height = height;
    this.count = 1 + Math.floor(Math.log2(Math.max(width, height)));
    this.#srgb = srgb;
    this.#read = read;
  }

  level(index: number): Level {
    return this.#levels[index] ?? this.#make(index);
  }

  #make(index: number): Level {
    const { width, height } = this;
    const level =
      index === 0 ? { width, height, texels: this.#read() } : halve(this.level(index - 1), this.#srgb);
    this.#levels[index] = level;
    return level;
  }
}

/** A texture with its mipmaps. */
export interface Texture {
  readonly kind: "2d" | "cube";
  /** One for a 2D texture, six (+x -x +y -y +z -z) for a cube. */
  readonly faces: readonly Pyramid[];
  /** Stored byte → colour in [0, 1]. */
  readonly decode: Float32Array;
}

const LINEAR = Float32Array.from({ length: 256 }, (_, i) => i / 255);
const SRGB = Float32Array.from({ length: 256 }, (_, i) => {
  const c = i / 255;
  return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
});

/** Linear colour in steps of 1/8191 → nearest sRGB byte; fine enough for the steep dark end (slope 12.92). */
const ENCODE_STEPS = 8191;
const ENCODE_SRGB = Uint8Array.from({ length: ENCODE_STEPS + 1 }, (_, i) => {
  const c = i / ENCODE_STEPS;
  return Math.round(255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055));
});

/** One texture of the model, whose bytes are read on first use. Throws for textures without red, green and blue. */
export function readTexture(model: MjModel, id: number, compat: Compat): Texture {
  const width: number = model.tex_width[id];
  const height: number = model.tex_height[id];
  const channels: number = model.tex_nchannel[id];
  if (channels < 3) {
    throw new Error(`createRenderer: expected texture ${id} to have 3 or 4 channels, found ${channels}`);
  }
  const flat = model.tex_type[id] === TEXTURE_2D;
  // MuJoCo 3.3.3 began to decode sRGB images when sampling; nothing encodes the picture again.
  const srgb = flat && compat === "mujoco-3.14" && model.tex_colorspace[id] === COLORSPACE_SRGB;
  const start = Number(model.tex_adr[id]);
  const pyramid = (face: number, w: number, h: number): Pyramid =>
    new Pyramid(w, h, srgb, () => {
      const first = start + face * channels * w * h;
      return rgbOf(model.tex_data.subarray(first, first + channels * w * h), channels);
    });
  const decode = srgb ? SRGB : LINEAR;
  if (flat) return { kind: "2d", faces: [pyramid(0, width, height)], decode };
  if (width === height) {
    const one = pyramid(0, width, width);
    return { kind: "cube", faces: [one, one, one, one, one, one], decode };
  }
  return { kind: "cube", faces: [0, 1, 2, 3, 4, 5].map((face) => pyramid(face, width, width)), decode };
}

/** The texture drawn behind everything: the first skybox of the model, or -1. */
export function skyboxOf(model: MjModel): number {
  return Array.from(model.tex_type as Int32Array).indexOf(SKYBOX);
}

function rgbOf(bytes: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return bytes.slice();
  const rgb = new Uint8Array((3 * bytes.length) / channels);
  for (let i = 0, o = 0; i < bytes.length; i += channels, o += 3) {
    rgb[o] = bytes[i];
    rgb[o + 1] = bytes[i + 1];
    rgb[o + 2] = bytes[i + 2];
  }
  return rgb;
}

/** Half the size, rounded down; each texel is a linear lookup at its centre (the mean of four for even sizes). */
function halve(from: Level, srgb: boolean): Level {
  const width = Math.max(1, from.width >> 1);
  const height = Math.max(1, from.height >> 1);
  const texels = new Uint8Array(3 * width * height);
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
