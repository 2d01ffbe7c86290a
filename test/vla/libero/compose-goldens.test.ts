import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import loadMujoco from "@mujoco/mujoco";
import { describe, expect, test } from "vitest";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { child, type Element, parseXml } from "../../../vla/libero/compose/xml.ts";
import type { Scene } from "../../../vla/libero/scene.ts";
import { findTask, loadSuite } from "../../../vla/libero/suites.ts";

const { LIBERO_ROOT, ROBOSUITE_ROOT, NINA_GOLDENS } = process.env;
const folder = join(NINA_GOLDENS ?? "", "libero");
const goldens = NINA_GOLDENS ? readdirSync(folder).filter((f) => f.includes("__")) : [];

function composed(name: string): { scene: Scene; reference: string } {
  const [suite, index] = name.split("__");
  const task = findTask(loadSuite(LIBERO_ROOT!, suite), Number(index));
  return {
    scene: composeScene({ libero: LIBERO_ROOT!, robosuite: ROBOSUITE_ROOT!, task }),
    reference: readFileSync(join(folder, name, "scene.xml"), "utf8"),
  };
}

/** Attributes in order of name; numbers by value, since the reference writes 1.0 where we write 1. */
function plain(e: Element): unknown {
  const value = (text: string): unknown => {
    const words = text.split(" ").map(Number);
    return words.some(Number.isNaN) ? text : words;
  };
  const attributes = [...e.attributes]
    .map(([k, v]) => [k, value(v)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return [e.tag, Object.fromEntries(attributes), e.children.map(plain)];
}

describe.skipIf(!LIBERO_ROOT || !ROBOSUITE_ROOT || !NINA_GOLDENS)(
  "scenes of the reference (needs LIBERO_ROOT, ROBOSUITE_ROOT, NINA_GOLDENS)",
  () => {
    test.each(goldens)("%s: the same elements with the same values", (name) => {
      const { scene, reference } = composed(name);
      const [ours, theirs] = [parseXml(scene.mjcf, "ours"), parseXml(reference, "theirs")];
      for (const section of ["compiler", "option", "asset", "visual", "actuator", "worldbody", "sensor"]) {
        expect(plain(child(ours, section)!)).toEqual(plain(child(theirs, section)!));
      }
    });

    // One scene with hinges, slides and a pedestal, one with default classes: 4 s per compilation, two per scene.
    test.each(["libero_spatial__00", "libero_90__35"])(
      "%s: the same compiled model",
      async (name) => {
        const { scene, reference } = composed(name);
        const mj = await loadMujoco();
        const made = new Set<string>();
        for (const [file, path] of scene.assets) {
          const parts = dirname(file).split("/");
          parts.forEach((_, i) => {
            const at = "/" + parts.slice(0, i + 1).join("/");
            if (!made.has(at)) mj.FS.mkdir(at);
            made.add(at);
          });
          mj.FS.writeFile("/" + file, readFileSync(path));
        }
        const compile = (mjcf: string) => {
          mj.FS.writeFile("/scene.xml", mjcf);
          return mj.MjModel.from_xml_path("/scene.xml");
        };
        const ours = compile(scene.mjcf);
        // Our name for the model and our memory limit are the two intended differences.
        const theirs = compile(
          reference.replace('model="base"', 'model="libero"').replace(/<size [^>]*>/, '<size memory="16M"/>'),
        );
        expect(same(ours, theirs, name)).toBeGreaterThan(500);
        ours.delete();
        theirs.delete();
      },
      180_000,
    );
  },
);

/**
 * Compares every readable field of two models; returns how many there were. `buffer` is the memory behind all arrays,
 * so it also covers the boolean ones, which MuJoCo 3.14 for JavaScript throws on.
 */
function same(ours: object, theirs: object, who: string): number {
  let compared = 0;
  for (const [key, property] of Object.entries(
    Object.getOwnPropertyDescriptors(Object.getPrototypeOf(ours)),
  )) {
    if (property.get === undefined) continue;
    const [a, b] = [ours, theirs].map((model) => read(model, key));
    if (a === undefined) continue;
    if (ArrayBuffer.isView(a))
      expect(bytesOf(a).equals(bytesOf(b as ArrayBufferView)), `${who}.${key}`).toBe(true);
    else if (typeof a === "object") compared += same(a as object, b as object, `${who}.${key}`);
    else expect(a, `${who}.${key}`).toBe(b);
    compared++;
  }
  return compared;
}

function read(model: object, key: string): unknown {
  try {
    return (model as Record<string, unknown>)[key];
  } catch {
    return undefined; // a boolean array
  }
}

function bytesOf(x: ArrayBufferView): Buffer {
  return Buffer.from(x.buffer, x.byteOffset, x.byteLength);
}
