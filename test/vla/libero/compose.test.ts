import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { child, type Element, numbers, parseXml, walk } from "../../../vla/libero/compose/xml.ts";
import type { Scene } from "../../../vla/libero/scene.ts";
import { type TinyClone, tinyBddl, tinyClone } from "./tiny-clone.ts";

const nameOf = (e: Element): string => e.attributes.get("name") ?? "";
const named = (e: Element, tag: string): string[] => [...walk(e)].filter((x) => x.tag === tag).map(nameOf);

describe("composeScene on a tiny clone", () => {
  let clone: TinyClone;
  let scene: Scene;
  let world: Element;
  let assets: Element;
  const compose = (bddl: string): Scene => composeScene({ ...clone, task: clone.task(bddl) });
  const find = (name: string): Element => [...walk(world)].find((e) => nameOf(e) === name)!;

  beforeAll(() => {
    clone = tinyClone();
    scene = compose(tinyBddl());
    const model = parseXml(scene.mjcf, "composed");
    world = child(model, "worldbody")!;
    assets = child(model, "asset")!;
  });
  afterAll(() => rmSync(dirname(clone.libero), { recursive: true }));

  test("bodies come in the order of the state vector: arena, robot, objects, fixtures", () => {
    expect(world.children.filter((e) => e.tag === "body").map(nameOf)).toEqual([
      "table",
      "robot0_base",
      "box_1_main",
      "box_2_main",
      "cabinet_1_main",
    ]);
    expect(named(world, "joint").slice(-4)).toEqual([
      "gripper0_finger_joint1",
      "box_1_joint0",
      "box_2_joint0",
      "cabinet_1_slide",
    ]);
  });

  test("gripper hangs in the hand, mount comes after the arm", () => {
    expect(find("robot0_right_hand").children.map(nameOf)).toEqual(["gripper0_right_gripper"]);
    const last = find("robot0_base").children.at(-1)!;
    expect([nameOf(last), last.attributes.get("pos")]).toEqual(["mount0_base", "0 0 0.01"]);
    expect(find("robot0_joint3").attributes.get("armature")).toBe(String(5 / 3));
    expect(find("robot0_joint7").attributes.get("damping")).toBe("0.01");
    expect(named(find("robot0_base"), "geom")).toEqual([
      "robot0_g0_vis",
      "robot0_base_collision",
      "robot0_g1_vis",
      "mount0_col",
    ]);
  });

  test("geoms are counted over the whole object, construction aids included, and named where they have no name", () => {
    expect(named(find("box_1_main"), "geom")).toEqual(["box_1_g0", "box_1_lid", "box_1_g3", "box_1_g4"]);
    const [box] = scene.objects;
    expect(box.contactGeoms).toEqual(["box_1_lid", "box_1_g3", "box_1_g4"]);
    expect([box.joints, box.rootBody, box.kind, box.articulation]).toEqual([
      ["box_1_joint0"],
      "box_1_main",
      "object",
      null,
    ]);
  });

  test("default classes are written into the elements, which win over them", () => {
    const [outer, inner] = [...walk(find("cabinet_1_main"))].filter((e) => e.tag === "geom");
    expect([outer.attributes.get("mass"), inner.attributes.get("mass")]).toEqual(["7", "5"]);
    expect(outer.attributes.has("class")).toBe(false);
    expect(scene.objects[2].contactGeoms).toEqual(["cabinet_1_g0", "cabinet_1_g1"]);
    expect(scene.objects[2].articulation).toEqual({ open: [-0.16, -0.14], close: [0, 0.005] });
  });

  test("of two assets with one name the first wins, and every file is on disk", () => {
    const textures = assets.children.filter((e) => nameOf(e) === "box_2_tex");
    expect(textures.map((t) => t.attributes.get("file"))).toEqual(["libero/crates/box/first.png"]);
    const files = [...walk(assets)].flatMap((e) => e.attributes.get("file") ?? []);
    expect(new Set(files)).toEqual(new Set(scene.assets.keys()));
    expect(scene.assets.get("libero/textures/light-gray-plaster.png")).toBe(
      join(clone.assets, "textures", "light-gray-plaster.png"),
    );
  });

  test("regions of the workspace are box sites on the table; regions of absent objects are left out", () => {
    const site = find("main_table_left");
    [0, -0.2, 0.02].forEach((x, i) => {
      expect(numbers(site, "pos")![i]).toBeCloseTo(x, 12);
    });
    [0.1, 0.1, 0.007].forEach((x, i) => {
      expect(numbers(site, "size")![i]).toBeCloseTo(x, 12);
    });
    expect(find("table").children).toContain(site);
    expect(scene.sites.map((s) => s.name)).toEqual([
      "main_table_left",
      "main_table_right",
      "main_table_corner",
      "cabinet_1_top_side",
      "cabinet_1_top_region",
      "box_1_contain_region",
    ]);
    expect(scene.sites.slice(3)).toEqual([
      { name: "cabinet_1_top_side", parent: "cabinet_1", size: [0.2, 0.2, 0.01], joints: [] },
      {
        name: "cabinet_1_top_region",
        parent: "cabinet_1",
        size: [0.1, 0.1, 0.1],
        joints: ["cabinet_1_slide"],
      },
      { name: "box_1_contain_region", parent: "box_1", size: [0.3, 0.2, 0.1], joints: [] },
    ]);
  });

  test("the table gets size, friction and legs; the camera moves", () => {
    expect(find("table").attributes.get("pos")).toBe("0 0 0.875");
    expect(find("table_collision").attributes.get("size")).toBe("0.5 0.6 0.025");
    expect(find("table_collision").attributes.has("material")).toBe(false);
    expect(find("table_leg2_visual").attributes.get("pos")).toBe("-0.4 0.5 -0.4375");
    expect(find("agentview").attributes.get("pos")).toBe("0.6586131746834771 0 1.6103500240372423");
    expect(named(world, "camera")).toEqual(["agentview", "frontview", "galleryview"]);
  });

  test("says what is wrong", () => {
    expect(() => compose(tinyBddl({ problem: "moon" }))).toThrow(
      /unknown problem class moon; known are libero_tabletop/,
    );
    expect(() => compose(tinyBddl({ objects: "box_1 box_2 - box cup_1 - cup" }))).toThrow(
      /object category cup: found neither cup\/cup\.xml nor cup\.xml in a folder of .*assets/,
    );
    expect(() => compose(tinyBddl({ goal: "(On box_1 box_9)" }))).toThrow(
      /goal on names box_9; the scene has box_1/,
    );
    expect(() => compose(tinyBddl({ regions: "(roof (:target cabinet_1))" }))).toThrow(
      /wooden_cabinet has no site roof/,
    );
    expect(() => compose(tinyBddl({ init: "(On box_1 moon)" }))).toThrow(/cannot set up \(on box_1 moon\)/);
    expect(() => compose(tinyBddl({ init: "(Turnon cabinet_1)" }))).toThrow(
      /nothing known about turnon of cabinet_1/,
    );
    const task = clone.task(tinyBddl());
    expect(() => composeScene({ ...clone, libero: "/nowhere", task })).toThrow(
      /assets of libero in \/nowhere/,
    );
    rmSync(join(clone.assets, "crates", "box", "first.png"));
    expect(() => compose(tinyBddl())).toThrow(
      /asset libero\/crates\/box\/first\.png is missing \(looked for/,
    );
  });
});
