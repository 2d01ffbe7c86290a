/**
 * A state vector does not tell where fixtures stand: a reset moves their bodies in the model. So files of
 * demonstrations keep the model of each episode, with the fixtures placed.
 */
import { FormatError } from "../../core/index.ts";
import { formatXml, numbers, parseXml, walk } from "./compose/xml.ts";
import type { FixturePose, Scene } from "./scene.ts";

/** The scene's MJCF with its fixtures placed. */
export function placeFixtures(scene: Scene, poses: ReadonlyMap<string, FixturePose>): string {
  const root = parseXml(scene.mjcf, "placeFixtures");
  for (const [object, body] of fixtureBodies(scene, root, "placeFixtures")) {
    const { pos, quat } = poses.get(object) as FixturePose;
    body.attributes.set("pos", pos.join(" "));
    body.attributes.set("quat", quat.join(" "));
  }
  return formatXml(root);
}

/**
 * Where the fixtures of a scene stand in the MJCF of an episode, by name.
 *
 * @param who for error messages
 * @throws FormatError where a fixture's body or its place is missing
 */
export function readFixturePoses(scene: Scene, mjcf: string, who: string): ReadonlyMap<string, FixturePose> {
  const poses = new Map<string, FixturePose>();
  for (const [object, body] of fixtureBodies(scene, parseXml(mjcf, who), who)) {
    const pos = numbers(body, "pos", 3) ?? [0, 0, 0];
    const quat = numbers(body, "quat", 4) ?? [1, 0, 0, 0];
    poses.set(object, { pos, quat } as unknown as FixturePose);
  }
  return poses;
}

function fixtureBodies(scene: Scene, root: ReturnType<typeof parseXml>, who: string) {
  const bodies = new Map([...walk(root)].map((e) => [`${e.tag} ${e.attributes.get("name")}`, e]));
  return scene.objects
    .filter(({ kind }) => kind === "fixture")
    .map(({ name, rootBody }) => {
      const body = bodies.get(`body ${rootBody}`);
      if (!body) throw new FormatError(who, `a body "${rootBody}"`, "none");
      return [name, body] as const;
    });
}
