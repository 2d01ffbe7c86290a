import { encode } from "fast-png";
import { Cache } from "../../../core/index.ts";
import { compileModel } from "../../../vla/libero/model-cache.ts";
import { loadMuJoCo } from "../../../vla/libero/mujoco.ts";
import { RenderMemory } from "../../../vla/libero/render/memory.ts";
import { Textures } from "../../../vla/libero/render/texture.ts";
import { BrokenLaw, type Input, type Reader } from "../reader.ts";
import { pngChunks } from "../structure.ts";

const FILE = "texture.png";
const MJCF = `<mujoco>
  <asset><texture name="t" type="2d" file="${FILE}"/><material name="m" texture="t"/></asset>
  <worldbody><geom type="box" size="1 1 1" material="m"/></worldbody>
</mujoco>`;

function picture(width: number, height: number, channels: number, depth: 8 | 16 = 8): Input {
  const length = width * height * channels;
  const data = depth === 8 ? new Uint8Array(length) : new Uint16Array(length);
  return { file: FILE, bytes: encode({ width, height, channels, depth, data: data.map((_, i) => 37 * i) }) };
}

/** A texture as a scene has it: decoded when the model is compiled, then read for drawing. */
const reader: Reader = {
  seeds: [picture(4, 4, 3), picture(5, 3, 4), picture(2, 2, 1), picture(3, 2, 3, 16), picture(1, 1, 2)],
  mutations: [pngChunks],
  async prepare() {
    const mj = await loadMuJoCo();
    return async (path) => {
      using compiled = compileModel(mj, { mjcf: MJCF, assets: new Map([[FILE, path]]) }, new Cache(null));
      const { faces } = new Textures(compiled.model, "mujoco-3.14", new RenderMemory()).get(0);
      const { width, height, texels } = faces[0].level(0);
      if (texels.length !== 3 * width * height || texels.length === 0)
        throw new BrokenLaw(`${width} by ${height}`);
      return `${width} by ${height}`;
    };
  },
};

export default reader;
