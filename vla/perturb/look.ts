import type { LiberoEnv } from "../libero/env.ts";
import type { MjModel } from "../libero/mujoco.ts";
import { type CameraChange, type CameraPose, perturbCamera } from "./camera.ts";
import type { Levels } from "./dimensions.ts";
import { drawsOf, type EpisodeName } from "./draws.ts";
import { type Light, type LightChange, perturbLights } from "./light.ts";
import type { Vector } from "./quaternion.ts";
import { drawPattern, drawTint, type Pattern, repaint, tinted } from "./textures.ts";

/** The camera that moves; the one on the wrist goes where the arm goes. */
const CAMERA = "agentview";
/** Geom groups that are drawn. */
const SHOWN: readonly number[] = [1, 2];
/** `mjNTEXROLE` and `mjTEXROLE_RGB`: a material holds one texture per role, and this one colours it. */
const TEXTURE_ROLES = 10;
const ROLE_RGB = 1;
/** A geom of this colour takes its material's. */
const UNSET = [0.5, 0.5, 0.5, 1];

/** Tables of the model that are written, whole. */
const TABLES = [
  "cam_pos",
  "cam_quat",
  "cam_fovy",
  "light_pos",
  "light_dir",
  "light_ambient",
  "light_diffuse",
  "light_specular",
  "mat_rgba",
  "geom_rgba",
] as const;
const HEADLIGHT = ["ambient", "diffuse", "specular"] as const;

/** How a scene's look was changed. */
export interface LookChange {
  readonly camera?: CameraChange;
  readonly light?: LightChange;
  /** One pattern per texture of the room. */
  readonly textures?: { readonly patterns: readonly Pattern[] };
}

/** A texture of the model, and its picture as the suite has it. */
interface Surface {
  readonly first: number;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly texels: Uint8Array;
}

/** The look of an environment's scene: as the suite has it, or as an episode is to see it. */
export class Look {
  readonly #env: LiberoEnv;
  /** Height of the workspace, metres. */
  readonly #height: number;
  readonly #tables: readonly (readonly [(typeof TABLES)[number], Float32Array | Float64Array])[];
  readonly #headlight: readonly (readonly [(typeof HEADLIGHT)[number], Float32Array])[];
  /** Textures of the room: floor, walls, table. */
  readonly #surfaces: readonly Surface[];
  /** Per object of the scene: where its colours stand. */
  readonly #colours: readonly (readonly {
    readonly table: "mat_rgba" | "geom_rgba";
    readonly at: number;
  }[])[];

  /** Whether the scene has another look than the suite's. */
  #changed = false;

  constructor(env: LiberoEnv, height: number) {
    this.#env = env;
    this.#height = height;
    const { model } = env.sim;
    this.#tables = TABLES.map((name) => [name, model[name].slice()]);
    this.#headlight = HEADLIGHT.map((name) => [name, model.vis.headlight[name].slice()]);
    const { room, things } = shownGeoms(env);
    this.#surfaces = [...new Set(room.map((geom) => textureOf(model, geom)))]
      .filter((texture) => texture >= 0)
      .map((texture) => surfaceOf(model, texture));
    this.#colours = things.map((geoms) => [
      ...new Map(
        geoms.map((geom) => colourOf(model, geom)).map((each) => [`${each.table} ${each.at}`, each]),
      ).values(),
    ]);
  }

  /** Gives the scene the look of an episode; what levels leave out is as the suite has it. Call it before `start`. */
  wear({ camera, light, textures }: Levels, episode: EpisodeName): LookChange {
    const change: { -readonly [K in keyof LookChange]: LookChange[K] } = {};
    const changes = camera !== undefined || light !== undefined || textures !== undefined;
    if (!changes && !this.#changed) return change;
    this.#changed = changes;
    this.#env.restyle((sim) => {
      const { model } = sim;
      for (const [name, values] of this.#tables) model[name].set(values);
      for (const [name, values] of this.#headlight) model.vis.headlight[name].set(values);
      for (const { first, texels } of this.#surfaces) model.tex_data.set(texels, first);

      if (camera) {
        const id = sim.id("camera", CAMERA);
        const moved = perturbCamera(readCamera(model, id), this.#height, camera, drawsOf("camera", episode));
        model.cam_pos.set(moved.camera.pos, 3 * id);
        model.cam_quat.set(moved.camera.quat, 4 * id);
        model.cam_fovy[id] = moved.camera.fovy;
        change.camera = moved.change;
      }
      if (light) {
        const draws = drawsOf("light", episode);
        const lit = perturbLights(readLights(model), [0, 0, this.#height], light, draws);
        writeLights(model, lit.lights);
        change.light = lit.change;
      }
      if (textures) {
        const draws = drawsOf("textures", episode);
        const patterns = this.#surfaces.map((surface) => {
          const pattern = drawPattern(draws);
          model.tex_data.set(repaint(surface.texels, surface, pattern, textures), surface.first);
          return pattern;
        });
        for (const colours of this.#colours) {
          const tint = drawTint(draws);
          for (const { table, at } of colours)
            model[table].set(tinted(model[table].subarray(at, at + 3), tint, textures), at);
        }
        change.textures = { patterns };
      }
    });
    return change;
  }
}

/** Geoms that are drawn: of the room, and of each object; the robot keeps its look. */
function shownGeoms({ sim, scene }: LiberoEnv): { room: number[]; things: number[][] } {
  const { mj, model } = sim;
  const roots = scene.objects.map(({ rootBody }) => sim.id("body", rootBody));
  const room: number[] = [];
  const things = roots.map((): number[] => []);
  for (let geom = 0; geom < model.ngeom; geom++) {
    if (!SHOWN.includes(model.geom_group[geom])) continue;
    const root: number = model.body_rootid[model.geom_bodyid[geom]];
    const object = roots.indexOf(root);
    if (object >= 0) things[object].push(geom);
    else if (!mj.mj_id2name(model, mj.mjtObj.mjOBJ_BODY.value, root)?.startsWith("robot0_")) room.push(geom);
  }
  return { room, things };
}

/** The texture that colours a geom; −1 without one. */
function textureOf(model: MjModel, geom: number): number {
  const material: number = model.geom_matid[geom];
  return material < 0 ? -1 : model.mat_texid[TEXTURE_ROLES * material + ROLE_RGB];
}

function surfaceOf(model: MjModel, texture: number): Surface {
  const [width, height, channels]: number[] = [
    model.tex_width[texture],
    model.tex_height[texture],
    model.tex_nchannel[texture],
  ];
  const first = Number(model.tex_adr[texture]);
  return {
    first,
    width,
    height,
    channels,
    texels: model.tex_data.slice(first, first + width * height * channels),
  };
}

/** Where the colour stands that a geom is drawn in. */
function colourOf(model: MjModel, geom: number): { table: "mat_rgba" | "geom_rgba"; at: number } {
  const material: number = model.geom_matid[geom];
  const own: Float32Array = model.geom_rgba.subarray(4 * geom, 4 * geom + 4);
  const unset = UNSET.every((x, k) => own[k] === x);
  return material >= 0 && unset
    ? { table: "mat_rgba", at: 4 * material }
    : { table: "geom_rgba", at: 4 * geom };
}

const vectorAt = (table: ArrayLike<number>, index: number): Vector => [
  table[3 * index],
  table[3 * index + 1],
  table[3 * index + 2],
];

function readCamera(model: MjModel, id: number): CameraPose {
  const [w, x, y, z]: Float64Array = model.cam_quat.subarray(4 * id, 4 * id + 4);
  return { pos: vectorAt(model.cam_pos, id), quat: [w, x, y, z], fovy: model.cam_fovy[id] };
}

/** The model's lights, behind them the camera's headlight. */
function readLights(model: MjModel): Light[] {
  const { ambient, diffuse, specular } = model.vis.headlight;
  const lights = Array.from(
    { length: model.nlight },
    (_, id): Light => ({
      place: { pos: vectorAt(model.light_pos, id), dir: vectorAt(model.light_dir, id) },
      ambient: vectorAt(model.light_ambient, id),
      diffuse: vectorAt(model.light_diffuse, id),
      specular: vectorAt(model.light_specular, id),
    }),
  );
  return [
    ...lights,
    {
      place: null,
      ambient: vectorAt(ambient, 0),
      diffuse: vectorAt(diffuse, 0),
      specular: vectorAt(specular, 0),
    },
  ];
}

function writeLights(model: MjModel, lights: readonly Light[]): void {
  lights.forEach(({ place, ambient, diffuse, specular }, id) => {
    if (place) {
      model.light_pos.set(place.pos, 3 * id);
      model.light_dir.set(place.dir, 3 * id);
      model.light_ambient.set(ambient, 3 * id);
      model.light_diffuse.set(diffuse, 3 * id);
      model.light_specular.set(specular, 3 * id);
    } else {
      const headlight = model.vis.headlight;
      headlight.ambient.set(ambient);
      headlight.diffuse.set(diffuse);
      headlight.specular.set(specular);
    }
  });
}
