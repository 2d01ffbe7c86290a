import type { MainModule, MjData, MjModel } from "@mujoco/mujoco";
import { allowInlining } from "../platform/node.ts";

export type { MainModule, MjData, MjModel } from "@mujoco/mujoco";

/** The engine this code was written against; its contact layout and box contacts are checked at start-up. */
export const MUJOCO_VERSION = "3.14.0";

let module: Promise<MainModule> | undefined;

/**
 * The MuJoCo module of this process, loaded when it is asked for, and checked once: version, contact layout, strength
 * of box contacts.
 */
export function loadMuJoCo(): Promise<MainModule> {
  // Its build calls a function for every product of two triples: a sixth of a physics step.
  allowInlining();
  module ??= import("@mujoco/mujoco").then(async ({ default: load }) => {
    const mj = await load();
    if (mj.mj_versionString() !== MUJOCO_VERSION)
      throw new Error(`loadMuJoCo: expected MuJoCo ${MUJOCO_VERSION}, found ${mj.mj_versionString()}`);
    checkContacts(mj);
    return mj;
  });
  return module;
}

/** Leaves sensors out of the steps of a compiled model: nobody reads them, and no motion depends on them. */
export function leaveOutSensors(mj: MainModule, model: MjModel): void {
  const options = model.opt;
  options.disableflags |= mj.mjtDisableBit.mjDSBL_SENSOR.value;
  options.delete();
}

/**
 * Gives a compiled model the box contacts of MuJoCo 2.3. Call once per compiled or loaded model.
 *
 * A contact pushes with stiffness 1/(dmax² timeconst² dampratio²) and damps with 2/(dmax timeconst), so a damping
 * ratio times √2 halves the stiffness alone: the same as halving the depth. The ratio of a pair is the mean of
 * both geoms', so all other geoms get 2 − √2, which leaves box on plane and box on mesh as they were.
 */
export function rescaleContacts(mj: MainModule, model: MjModel): void {
  const solref: Float64Array = model.geom_solref;
  const type: Int32Array = model.geom_type;
  const box = mj.mjtGeom.mjGEOM_BOX.value;
  for (let geom = 0; geom < model.ngeom; geom++)
    // A negative time constant means that the pair is given as stiffness and damping: nothing to rescale.
    if (solref[2 * geom] > 0) solref[2 * geom + 1] *= type[geom] === box ? Math.SQRT2 : 2 - Math.SQRT2;
}

/** Bytes of one mjContact and the offset of its two geom ids (int32 each) in MuJoCo 3.14.0. */
const CONTACT_BYTES = 584;
const CONTACT_GEOMS = 532;

/**
 * The geom pairs in contact, read where MuJoCo keeps them, at the start of its arena: `data.contact` would copy
 * every contact into an object of its own (7 µs each). The layout belongs to one MuJoCo version and is checked
 * against `data.contact` when the module is loaded.
 *
 * @returns int32 words; contact i pairs geoms words[i * stride + first] and words[i * stride + first + 1].
 */
export function contactWords(data: MjData): { words: Int32Array; stride: number; first: number } {
  const arena: Uint8Array = data.arena;
  const words = new Int32Array(arena.buffer, arena.byteOffset, (data.ncon * CONTACT_BYTES) >> 2);
  return { words, stride: CONTACT_BYTES >> 2, first: CONTACT_GEOMS >> 2 };
}

/** A box 5 mm deep in another one, with LIBERO's options and the contact parameters of its objects. */
const OVERLAPPING_BOXES = `<mujoco>
  <option timestep="0.002" cone="elliptic" impratio="20" density="1.2" viscosity="0.00002"/>
  <default><geom solref="0.001 1" solimp=".998 .998 .001"/></default>
  <worldbody>
    <geom type="plane" size="9 9 1" pos="0 0 -9"/>
    <geom type="box" size=".1 .1 .1"/>
    <body pos="0 0 .195"><freejoint/><geom type="box" size=".1 .1 .1"/></body>
  </worldbody>
</mujoco>`;

/** Vertical acceleration of that box in MuJoCo 2.3, m/s². */
const BOX_ACCELERATION_2_3 = 156.479814722083;

/** Fails unless contacts lie where `contactWords` looks and `rescaleContacts` gives what MuJoCo 2.3 gave. */
function checkContacts(mj: MainModule): void {
  const model = mj.MjModel.from_xml_string(OVERLAPPING_BOXES);
  const data = new mj.MjData(model);
  try {
    rescaleContacts(mj, model);
    mj.mj_forward(model, data);

    const { words, stride, first } = contactWords(data);
    const contacts = data.contact;
    for (let i = 0; i < data.ncon; i++) {
      const contact = contacts.get(i)!;
      const expected = `${contact.geom1}, ${contact.geom2}`;
      contact.delete();
      const found = `${words[i * stride + first]}, ${words[i * stride + first + 1]}`;
      if (found !== expected)
        throw new Error(
          `loadMuJoCo: expected contact ${i} of the arena to pair geoms ${expected}, found ${found}`,
        );
    }
    contacts.delete();

    const acceleration: number = data.qacc[2];
    if (data.ncon === 0 || Math.abs(acceleration / BOX_ACCELERATION_2_3 - 1) > 1e-9)
      throw new Error(
        `loadMuJoCo: expected a box 5 mm deep in a box to accelerate at ${BOX_ACCELERATION_2_3} m/s² ` +
          `after the contact rescale, found ${acceleration} with ${data.ncon} contacts`,
      );
  } finally {
    data.delete();
    model.delete();
  }
}
