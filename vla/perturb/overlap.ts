import type { LiberoEnv } from "../libero/env.ts";

/** How deep one thing may be in another, metres: contacts give way by a part of it. */
const DEPTH = 0.001;
const ROBOT = "robot";

/**
 * Which of the things that were moved is in something else; null if none is. What moved together may touch as it did
 * before.
 *
 * @param moved names of objects, in groups; `["robot"]` is the robot.
 */
export function overlapFault(
  { sim, scene }: LiberoEnv,
  moved: readonly (readonly string[])[],
): string | null {
  const { mj, model, data } = sim;
  const ownerOf = (geom: number): string => {
    const root: number = model.body_rootid[model.geom_bodyid[geom]];
    const name: string = mj.mj_id2name(model, mj.mjtObj.mjOBJ_BODY.value, root) ?? "";
    if (name.startsWith("robot0_")) return ROBOT;
    return scene.objects.find(({ rootBody }) => rootBody === name)?.name ?? "the room";
  };
  const groupOf = (name: string): number => moved.findIndex((names) => names.includes(name));

  const contacts = data.contact; // copies; cheap enough for once per draw
  try {
    for (let i = 0; i < data.ncon; i++) {
      const contact = contacts.get(i)!;
      const { geom1, geom2, dist } = contact;
      contact.delete();
      const [a, b] = [ownerOf(geom1), ownerOf(geom2)];
      if (dist > -DEPTH || a === b) continue;
      if (groupOf(a) !== groupOf(b)) return `${a} in ${b}`;
    }
    return null;
  } finally {
    contacts.delete();
  }
}

/** How the robot is called in a list of what was moved. */
export const THE_ROBOT: readonly string[] = [ROBOT];
