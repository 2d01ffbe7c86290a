/**
 * NinA's decoders as a user of an array library would write them: the flow's inverse, layer by layer, after section 3
 * of arXiv:2508.16845. The inverse of each invertible matrix is computed beforehand, which any user would do.
 */
import { Tensor, tidy } from "../../core/index.ts";
import {
  AffineCoupling,
  type Bijector,
  InvertiblePLU,
  JointAffineCoupling,
  Permutation,
} from "../../flows/index.ts";
import type { Module } from "../../nn/index.ts";
import type { MlpDecoder } from "../../vla/nina/mlp.ts";
import type { TransformerDecoder } from "../../vla/nina/transformer.ts";

/** What the networks need of a library. T is its array type. */
export interface ArrayLibrary<T> {
  readonly name: string;
  constant(data: ArrayLike<number>, shape: readonly number[]): T;
  indices(data: ArrayLike<number>): T;
  matmul(a: T, b: T): T;
  add(a: T, b: T): T;
  sub(a: T, b: T): T;
  mul(a: T, b: T): T;
  scale(a: T, by: number): T;
  exp(a: T): T;
  tanh(a: T): T;
  gelu(a: T): T;
  softmax(a: T): T;
  /** Over the last axis, with epsilon 1e-5. */
  layerNorm(a: T, gain: T, bias: T): T;
  concat(parts: readonly T[], axis: number): T;
  /** Entries `start` to `start + size` along an axis. */
  slice(a: T, axis: number, start: number, size: number): T;
  take(a: T, indices: T, axis: number): T;
  reshape(a: T, shape: readonly number[]): T;
  transpose(a: T, order: readonly number[]): T;
  /** Makes a network of two inputs ready; each call takes their numbers and gives the output's. */
  compile(
    body: (z: T, condition: T) => T,
    shapes: readonly [z: readonly number[], condition: readonly number[]],
  ): (z: Float32Array, condition: Float32Array) => Float32Array;
}

type Apply<T> = (z: T, condition: T) => T;

/** z (B, T · A), condition (B, C) → actions (B, T · A), not clamped. */
export function mlpNetwork<T>(lib: ArrayLibrary<T>, decoder: MlpDecoder): Apply<T> {
  const net = (module: Module): Apply<T> => {
    const layers = linears(lib, module, ["net.0", "net.3", "net.6"]);
    const norms = layerNorms(lib, module, ["net.1", "net.4"]);
    return (kept, condition) => {
      let h = layers[0](lib.concat([kept, condition], 1));
      for (let i = 0; i < 2; i++) h = layers[i + 1](lib.gelu(norms[i](h)));
      return h;
    };
  };
  return inverse(lib, decoder.nf.layers, (layer) => {
    const { scale_net, shift_net } = layer as AffineCoupling;
    const [scale, shift] = [net(scale_net), net(shift_net)];
    return (kept, condition) => [scale(kept, condition), shift(kept, condition)];
  });
}

/** z (B, T, A), condition (B, C) → actions (B, T, A), not clamped. */
export function transformerNetwork<T>(
  lib: ArrayLibrary<T>,
  decoder: TransformerDecoder,
  B: number,
): Apply<T> {
  const { width: E, heads: H, depth, steps, condition: C } = decoder.config;
  const [L, D] = [steps / 2, E / H];

  const attention = (module: Module, name: string): ((q: T, memory: T, S: number) => T) => {
    const packed = numbers(module, `${name}.in_proj_weight`);
    const bias = numbers(module, `${name}.in_proj_bias`);
    const project = [0, 1, 2].map((i) =>
      linear(lib, packed.slice(i * E * E, (i + 1) * E * E), bias.slice(i * E, (i + 1) * E), E),
    );
    const out = linears(lib, module, [`${name}.out_proj`])[0];
    return (q, memory, S) => {
      const split = (x: T, length: number): T =>
        lib.transpose(lib.reshape(x, [B, length, H, D]), [0, 2, 1, 3]);
      const [queries, keys, values] = [
        split(project[0](q), L),
        split(project[1](memory), S),
        split(project[2](memory), S),
      ];
      const logits = lib.scale(lib.matmul(queries, lib.transpose(keys, [0, 1, 3, 2])), 1 / Math.sqrt(D));
      const mixed = lib.matmul(lib.softmax(logits), values);
      return out(lib.reshape(lib.transpose(mixed, [0, 2, 1, 3]), [B, L, E]));
    };
  };
  return inverse(lib, decoder.nf.layers, (layer) => {
    const { net } = layer as JointAffineCoupling;
    const input = linears(lib, net, ["input_proj"])[0];
    const blocks = Array.from({ length: depth }, (_, j) => ({
      self: attention(net, `subblocks.${j}.self_attn`),
      cross: attention(net, `subblocks.${j}.cross_attn`),
      norms: layerNorms(lib, net, [`subblocks.${j}.norm1`, `subblocks.${j}.norm2`]),
      token: linears(lib, net, [`subblocks.${j}.cond_proj`])[0],
    }));
    const [norm] = layerNorms(lib, net, ["norm3"]);
    const heads = ["ff_mult", "ff_shift"].map((head) => linears(lib, net, [`${head}.0`, `${head}.3`]));
    return (kept, condition) => {
      const one = lib.reshape(condition, [B, 1, C]);
      let h = input(kept);
      for (const { self, cross, norms, token } of blocks) {
        const seen = norms[0](h);
        h = lib.add(h, self(seen, seen, L));
        h = lib.add(h, cross(norms[1](h), token(one), 1));
      }
      const last = norm(h);
      const [scale, shift] = heads.map(([first, second]) => second(lib.gelu(first(last))));
      return [scale, shift];
    };
  });
}

/** The layers back to front: matrices and permutations undone, couplings by the networks that `nets` makes. */
function inverse<T>(
  lib: ArrayLibrary<T>,
  layers: readonly Bijector[],
  nets: (coupling: Bijector) => (kept: T, condition: T) => readonly T[],
): Apply<T> {
  const steps = layers.toReversed().map((layer): ((x: T, condition: T, shape: readonly number[]) => T) => {
    if (layer instanceof InvertiblePLU) {
      const N = layer.s.size;
      const unit = Float64Array.from({ length: N * N }, (_, i) => (i % (N + 1) === 0 ? 1 : 0));
      const matrix = tidy(() => layer.inverse(Tensor.from(unit, [N, N])).out);
      const weight = lib.constant(matrix.data, [N, N]);
      matrix.dispose();
      return (x, _, shape) => lib.reshape(lib.matmul(lib.reshape(x, [shape[0], N]), weight), shape);
    }
    if (layer instanceof Permutation) {
      const order = lib.indices(layer.inv_perm.data);
      return (x) => lib.take(x, order, 1);
    }
    if (!(layer instanceof AffineCoupling || layer instanceof JointAffineCoupling))
      throw new Error(`peers: no network for ${layer.constructor.name}`);
    const net = nets(layer);
    return (x, condition, shape) => {
      const half = shape[1] / 2;
      const [kept, changed] = [lib.slice(x, 1, 0, half), lib.slice(x, 1, half, half)];
      const [scale, shift] = net(kept, condition);
      const factor = lib.exp(lib.scale(lib.tanh(scale), -1));
      return lib.concat([kept, lib.mul(lib.sub(changed, shift), factor)], 1);
    };
  });
  return (z, condition) => {
    const shape = shapeOf(z);
    return steps.reduce((x, step) => step(x, condition, shape), z);
  };
}

const shapeOf = (x: unknown): readonly number[] => (x as { readonly shape: readonly number[] }).shape;

function numbers(module: Module, name: string): Float32Array {
  for (const [own, tensor] of module.namedTensors()) if (own === name) return Float32Array.from(tensor.data);
  throw new Error(`peers: ${module.constructor.name} has no tensor ${name}`);
}

/** x Wᵀ + b, the matrix turned round beforehand. */
function linear<T>(
  lib: ArrayLibrary<T>,
  weight: Float32Array,
  bias: Float32Array,
  inputs: number,
): (x: T) => T {
  const outputs = bias.length;
  const turned = weight.map((_, i) => weight[(i % outputs) * inputs + Math.floor(i / outputs)]);
  const [w, b] = [lib.constant(turned, [inputs, outputs]), lib.constant(bias, [outputs])];
  return (x) => {
    const shape = shapeOf(x);
    const rows = shape.slice(0, -1).reduce((product, n) => product * n, 1);
    const flat = shape.length === 2 ? x : lib.reshape(x, [rows, inputs]);
    const y = lib.add(lib.matmul(flat, w), b);
    return shape.length === 2 ? y : lib.reshape(y, [...shape.slice(0, -1), outputs]);
  };
}

function linears<T>(lib: ArrayLibrary<T>, module: Module, names: readonly string[]): ((x: T) => T)[] {
  return names.map((name) => {
    const [weight, bias] = [numbers(module, `${name}.weight`), numbers(module, `${name}.bias`)];
    return linear(lib, weight, bias, weight.length / bias.length);
  });
}

function layerNorms<T>(lib: ArrayLibrary<T>, module: Module, names: readonly string[]): ((x: T) => T)[] {
  return names.map((name) => {
    const [gain, bias] = [numbers(module, `${name}.weight`), numbers(module, `${name}.bias`)].map((data) =>
      lib.constant(data, [data.length]),
    );
    return (x) => lib.layerNorm(x, gain, bias);
  });
}
