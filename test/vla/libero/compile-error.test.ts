import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { FormatError } from "../../../core/index.ts";
import { compileError } from "../../../vla/libero/compile-error.ts";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { Sim } from "../../../vla/libero/sim.ts";
import { tinyBddl, tinyClone } from "./tiny-clone.ts";

describe("what MuJoCo's compiler refuses", () => {
  test("is told with the file, line and element it stands in", async () => {
    const clone = tinyClone();
    try {
      const box = join(clone.assets, "crates", "box", "box.xml");
      writeFileSync(box, readFileSync(box, "utf8").replace('name="lid"', 'name="lid" colour="red"'));
      const scene = composeScene({ ...clone, task: clone.task(tinyBddl()) });
      const opened = Sim.open(scene, { cacheFolder: null });
      await expect(opened).rejects.toThrow(FormatError);
      await expect(opened).rejects.toThrow(
        `${box}:9 <geom name="box_1_lid">: expected a model that MuJoCo compiles, ` +
          "found XML Error: Schema violation: unrecognized attribute: 'colour'",
      );
    } finally {
      rmSync(dirname(clone.libero), { recursive: true });
    }
  });

  test.each([
    [
      "MuJoCo Error: Loading error: Error: mesh 'q' not found in geom 0\nElement name 'g', id 0, line 2\n",
      "b.xml:7 <geom>: expected a model that MuJoCo compiles, found Error: mesh 'q' not found in geom 0",
    ],
    [
      "MuJoCo Error: Loading error: Error: decoder failed for mesh file '/neg.obj'\nElement name 'x', id 0, line 1\nobj_decoder: could not parse OBJ file '/neg.obj'\n",
      "a.xml:3 <mesh>: expected a model that MuJoCo compiles, found Error: decoder failed for mesh file '/neg.obj' obj_decoder: could not parse OBJ file '/neg.obj'",
    ],
    [
      "MuJoCo Error: Loading error: Error: engine error: Could not allocate memory\n",
      "compileModel: expected a model that MuJoCo compiles, found Error: engine error: Could not allocate memory",
    ],
    [
      "memory access out of bounds",
      "compileModel: expected a model that MuJoCo compiles, found memory access out of bounds",
    ],
    [
      "XML parse error 7:\nError=XML_ERROR_PARSING_ATTRIBUTE ErrorID=7 (0x7) Line number=2: XMLElement name=joint\n",
      "b.xml:7 <geom>: expected a model that MuJoCo compiles, found XML parse error 7: Error=XML_ERROR_PARSING_ATTRIBUTE ErrorID=7 (0x7) : XMLElement name=joint",
    ],
    ["Element 'geom', line 900", "compileModel: expected a model that MuJoCo compiles, found "],
  ])("fits on a line, case %#", (message, said) => {
    expect(compileError(new Error(message), ["a.xml:3 <mesh>", "b.xml:7 <geom>"]).message).toBe(said);
  });
});
