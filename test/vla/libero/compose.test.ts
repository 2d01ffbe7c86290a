import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { FormatError } from "../../../core/index.ts";
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
    expect(named(world, "joint").slice(-5)).toEqual([
      "gripper0_finger_joint1",
      "gripper0_finger_joint2",
      "box_1_joint0",
      "box_2_joint0",
      "cabinet_1_slide",
    ]);
  });

  test("LIBERO-plus's classes of other lights are LIBERO's with another arena", () => {
    const scenes = join(clone.assets, "scenes");
    const arena = readFileSync(join(scenes, "libero_tabletop_base_style.xml"), "utf8").replaceAll(
      "../",
      "../../",
    );
    const light = '<light name="light1" pos="0 0 3" dir="0 0 -1"/>';
    mkdirSync(join(scenes, "lights"), { recursive: true });
    const file = join(scenes, "lights", "tabletop_light_sync_modified_7.xml");
    writeFileSync(file, arena.replace("<worldbody>", `<worldbody>${light}`));
    const problem = "Libero_Tabletop_Manipulation_tabletop_light_sync_modified_7";
    const lit = child(parseXml(compose(tinyBddl({ problem })).mjcf, "lit"), "worldbody")!;
    expect(named(lit, "light")).toEqual(["light1"]);
    expect(lit.children.filter((e) => e.tag !== "light").map(nameOf)).toEqual(world.children.map(nameOf));
    rmSync(join(scenes, "lights"), { recursive: true });
    expect(() => compose(tinyBddl({ problem }))).toThrow(
      /a problem class of libero_tabletop_manipulation, .*, or scenes\/libero_tabletop_/,
    );
  });

  test("gripper hangs in the hand, mount comes after the arm", () => {
    expect(find("robot0_right_hand").children.map(nameOf)).toEqual([
      "robot0_eye_in_hand",
      "gripper0_right_gripper",
    ]);
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
      expect(numbers(site, "pos", 3)![i]).toBeCloseTo(x, 12);
    });
    [0.1, 0.1, 0.007].forEach((x, i) => {
      expect(numbers(site, "size", 3)![i]).toBeCloseTo(x, 12);
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
    expect(find("agentview").attributes.get("pos")).toBe("0.6586131746834771 0 1.6103500240372424");
    expect(named(world, "camera")).toEqual(["agentview", "frontview", "galleryview", "robot0_eye_in_hand"]);
  });

  test("tells where every line of the model comes from", () => {
    const lines = scene.mjcf.trimEnd().split("\n");
    expect(scene.places).toHaveLength(lines.length);
    const lid = lines.findIndex((line) => line.includes('name="box_2_lid"'));
    expect(scene.places[lid]).toBe(
      `${join(clone.assets, "crates", "box", "box.xml")}:9 <geom name="box_2_lid">`,
    );
  });

  test("knows the layout of a state: 7 arm and 2 finger joints, two free ones, a slide", () => {
    expect(scene.layout).toEqual({ nq: 9 + 14 + 1, nv: 9 + 12 + 1, quaternions: [12, 19] });
  });
});

/** The one error of a text that cannot be played: it begins with the file and fits on a line. */
function refusal(compose: () => unknown): string {
  try {
    compose();
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).not.toMatch(/[\n\r]/);
    return (error as Error).message;
  }
  throw new Error("nothing was refused");
}

describe("composeScene refuses", () => {
  let clone: TinyClone;
  const compose = (bddl = tinyBddl()): Scene => composeScene({ ...clone, task: clone.task(bddl) });
  beforeEach(() => {
    clone = tinyClone();
  });
  afterEach(() => rmSync(dirname(clone.libero), { recursive: true }));

  const placed = "(On cabinet_1 main_table_corner)";
  const range = (numbers: string) => `(tight (:target main_table) (:ranges (${numbers})))`;
  test.each<[Parameters<typeof tinyBddl>[0], string]>([
    [{ problem: "moon" }, "a problem class of libero_tabletop_manipulation,"],
    [{ problem: "constructor" }, "found constructor"],
    // What the goal asks.
    [{ goal: "" }, "(:goal ...): expected (and TERM ...), found (and)"],
    [
      { goal: "(On box_1 box_9)" },
      '(:goal (on box_1 box_9)): expected an object, fixture or site of the scene, found "box_9"',
    ],
    [{ goal: "(On box_1)" }, "(:goal (on box_1)): expected 2 arguments, found 1"],
    [
      { goal: "(Near box_1 box_2)" },
      '(:goal (near box_1 box_2)): expected one of on, in, open, close, turnon, turnoff, found "near"',
    ],
    [{ goal: "(constructor box_1)" }, 'found "constructor"'],
    [{ goal: "(In box_1 cabinet_1)" }, 'expected a site of the scene, found "cabinet_1"'],
    [{ goal: "(Open box_1)" }, 'expected a thing with joints that open, found "box_1" (box)'],
    // What a reset sets up.
    [
      { init: `(On box_1 moon) ${placed}` },
      "(:init (on box_1 moon)): expected a movable object or a region of the scene, found moon",
    ],
    [
      { init: `(On box_9 main_table_left) ${placed}` },
      "(:init (on box_9 main_table_left)): expected an object or fixture of the scene, found box_9",
    ],
    [{ init: `(In box_1 main_table_left) ${placed}` }, "expected a site of the scene, found main_table_left"],
    [
      { init: `(On box_1 box_2 box_1) ${placed}` },
      "(:init (on box_1 box_2 box_1)): expected 2 arguments, found 3",
    ],
    [
      { init: `(Near box_1 box_2) ${placed}` },
      "expected one of on, in, open, close, turnon, turnoff, found near",
    ],
    [
      { init: `(Turnon cabinet_1) ${placed}` },
      "(:init (turnon cabinet_1)): expected a thing with joints that turnon, found cabinet_1 (wooden_cabinet)",
    ],
    [
      { init: `(Open moon) ${placed}` },
      "(:init (open moon)): expected an object, fixture or site of the scene, found moon",
    ],
    [
      { init: "(On box_1 main_table_left)" },
      "(:init ...): expected a place for fixture cabinet_1, found none",
    ],
    [
      { init: `(On box_1 main_table_left) (On box_1 main_table_right) ${placed}` },
      "(:init ...): expected one place for box_1, found two",
    ],
    [
      { init: `(On box_1 box_2) ${placed}` },
      "(:init ...): expected a place for box_2 before box_1 is put there, found none",
    ],
    [{ init: `(On box_1 box_1) ${placed}` }, "expected a place for box_1 before box_1 is put there"],
    // Regions and names.
    [
      { regions: "(roof (:target cabinet_1))" },
      "region roof: expected a site roof in wooden_cabinet, found none",
    ],
    [
      { regions: "(bare (:target main_table))" },
      "region main_table_bare: expected (:ranges ...), found none",
    ],
    [
      { regions: range("(0.1 0 0 0.1)") },
      "region main_table_tight: expected x0 < x1 and y0 < y1, found (0.1 0 0 0.1)",
    ],
    [{ regions: range("(0 0 0.1 0.1) (0 0 0.1 0)") }, "found (0 0 0.1 0)"],
    [{ regions: range("(0 0 0.1 0.1)") + range("(0 0 1 1)") }, "two named main_table_tight"],
    [
      { objects: "box_1 box_1 - box" },
      "expected one object, fixture or region of a name, found two named box_1",
    ],
    [
      { objects: "box_1 box_2 - box cup_1 - cup" },
      ".bddl, object category cup: expected cup/cup.xml or cup.xml in a folder of",
    ],
    [
      { objects: "box_1 box_2 - box c - constructor" },
      ".bddl, object category constructor: expected constructor/constructor.xml",
    ],
    [
      { objects: "box_1 box_2 - box a - ../../x" },
      '(:objects ...): expected a name of at most 200 letters, digits, "_", "-" and ".", found "../../x"',
    ],
    [
      { objects: "box_1 box_2 - box a - wooden_cabinet" },
      ".bddl, object a: expected wooden_cabinet, which has joints, among the fixtures",
    ],
    [
      { objects: `box_1 box_2 ${Array.from({ length: 3000 }, (_, i) => `b${i}`).join(" ")} - box` },
      "expected at most 64 objects and fixtures, found 3004",
    ],
  ])("a task, case %#", (parts, message) => {
    expect(refusal(() => compose(tinyBddl(parts)))).toContain(message);
  });

  test("a task file with a byte-order mark is read, one that is too large or no file is not", () => {
    expect(compose(`\ufeff${tinyBddl()}`).objects).toHaveLength(3);
    expect(refusal(() => compose(tinyBddl() + " ".repeat(2 ** 20)))).toMatch(
      /\.bddl: expected at most 1048576 bytes/,
    );
    const task = { ...clone.task(tinyBddl()), bddlPath: clone.assets };
    expect(refusal(() => composeScene({ ...clone, task }))).toContain(
      "expected a regular file, found a folder",
    );
    expect(refusal(() => composeScene({ ...clone, libero: "/nowhere", task }))).toContain(
      "expected the assets of libero in /nowhere",
    );
  });

  /** Rewrites a file of the clone. */
  const edit = (path: string, change: (text: string) => string): void =>
    writeFileSync(path, change(readFileSync(path, "utf8")));
  const box = () => join(clone.assets, "crates", "box", "box.xml");
  const cabinet = () => join(clone.assets, "furniture", "wooden_cabinet.xml");
  const arena = () => join(clone.assets, "scenes", "libero_tabletop_base_style.xml");
  const robot = (...path: string[]) => join(clone.robosuite, "robosuite", "models", "assets", ...path);
  const lid = 'group="0" name="lid"';

  test.each<[what: string, from: string, to: string, message: string | RegExp]>([
    [
      "a number that is none",
      lid,
      `${lid} pos="nan abc 0"`,
      'box.xml:9 <geom name="lid"> pos: expected numbers from -10000000000 to 10000000000, found "nan"',
    ],
    [
      "a number that MuJoCo takes",
      lid,
      `${lid} density="nan"`,
      '<geom name="lid"> density: expected numbers',
    ],
    [
      "infinity",
      lid,
      `${lid} pos="0 -inf 0"`,
      'pos: expected numbers from -10000000000 to 10000000000, found "-inf"',
    ],
    ["an overflow", lid, `${lid} mass="1e300"`, 'found "1e300"'],
    ["a word among numbers", lid, `${lid} solref="0.001 one"`, 'found "one"'],
    ["a hexadecimal number", lid, `${lid} pos="0x10 0 0"`, 'found "0x10"'],
    ["an empty value", lid, `${lid} pos=" "`, "pos: expected a value, found none"],
    ["no rotation at all", lid, `${lid} quat="0 0 0 0"`, 'quat: expected a direction, found "0 0 0 0"'],
    [
      "a marker without place",
      'name="top_site" pos="0 0 0.04"',
      'name="top_site"',
      '<site name="top_site">: expected an attribute pos, found none',
    ],
    [
      "a marker with two numbers",
      'name="top_site" pos="0 0 0.04"',
      'name="top_site" pos="0 0"',
      'pos: expected 3 numbers, found "0 0"',
    ],
    [
      "a region with one size",
      'size="0.3 0.2 0.1"',
      'size="0.3"',
      '<site name="box_1_contain_region"> size: expected 3 numbers, found "0.3"',
    ],
    [
      "a region without size",
      ' size="0.3 0.2 0.1"',
      "",
      '<site name="box_1_contain_region">: expected an attribute size, found none',
    ],
    [
      "a joint without name",
      '<body name="inner">',
      '<body name="inner"><joint/>',
      "box.xml:11 <joint>: expected an attribute name, found none",
    ],
    [
      "a joint of no kind",
      '<body name="inner">',
      '<body name="inner"><joint name="j" type="screw"/>',
      "type: expected free, ball, slide or hinge, found screw",
    ],
    [
      "a copy machine",
      '<body name="inner">',
      '<replicate count="1000000000"/><body name="inner">',
      "<replicate>: expected elements body, inertial, joint",
    ],
    [
      "a file outside the clone",
      "first.png",
      "../../../../../../x.png",
      /<texture name="tex">: expected a file inside .* or .*, found .*x\.png/,
    ],
    [
      "a file of another kind",
      "first.png",
      "first.exr",
      "file: expected a name that ends in .png, found libero/crates/box/first.exr",
    ],
    ["a missing file", "first.png", "third.png", "third.png: expected a file that can be read, found none"],
    [
      "six files",
      'file="first.png"',
      'fileup="first.png"',
      '<texture name="tex">: expected one attribute file, found fileup',
    ],
    [
      "a huge painted texture",
      'file="first.png"',
      'builtin="flat" width="100000" height="100000"',
      "expected at most 67108864 pixels, found 100000 × 100000",
    ],
    [
      "a missing texture",
      'name="skin" texture="tex"',
      'name="skin" texture="tax"',
      '<material name="box_1_skin">: expected a texture "box_1_tax", found none',
    ],
    [
      "a missing material",
      'material="skin"',
      'material="skim"',
      'expected a material "box_1_skim", found none',
    ],
    [
      "a name used twice",
      lid,
      'group="0" name="g4"',
      /expected a name of its own, found .*box\.xml:9 <geom name="box_1_g4">/,
    ],
    [
      "a class without defaults",
      lid,
      `${lid} class="wall"`,
      'expected class "wall" among the file\'s defaults, found none',
    ],
    ["two worlds", "</mujoco>", "<worldbody/></mujoco>", "box.xml: expected one <worldbody>, found more"],
    [
      "another file inside",
      "<worldbody>",
      '<include file="x.xml"/><worldbody>',
      "expected a model in one file, found <include>",
    ],
    [
      "another language",
      "<mujoco>",
      "<urdf>",
      /box\.xml: expected well-formed XML, found Opening and ending tag mismatch.* in line/,
    ],
    [
      "an entity",
      lid,
      'group="0" name="&lid;"',
      "expected well-formed XML, found entity not found:&lid; in line",
    ],
    [
      "deep nesting",
      '<body name="inner">',
      `${"<body>".repeat(1e4)}${"</body>".repeat(1e4)}<body name="inner">`,
      "elements 64 deep at most, found deeper",
    ],
    [
      "many elements",
      '<body name="inner">',
      `${"<site/>".repeat(1e5)}<body name="inner">`,
      "box.xml: expected at most 10000 elements, found 100",
    ],
    [
      "many attributes",
      lid,
      `${lid}${Array.from({ length: 1e5 }, (_, i) => ` a${i}=""`).join("")}`,
      "<geom>: expected at most 64 attributes, found 100004",
    ],
    [
      "attributes",
      lid,
      `${lid}${Array.from({ length: 80 }, (_, i) => ` a${i}="0"`).join("")}`,
      "<geom>: expected at most 64 attributes, found 84",
    ],
  ])("an object with %s", (_, from, to, message) => {
    edit(box(), (text) => {
      expect(text).toContain(from);
      return text.replace(from, to);
    });
    const said = refusal(compose);
    if (typeof message === "string") expect(said).toContain(message);
    else expect(said).toMatch(message);
  });

  test("scenes of many large objects", () => {
    edit(box(), (text) =>
      text.replace('<body name="inner">', `${"<site/>".repeat(4990)}<body name="inner">`),
    );
    expect(refusal(compose)).toMatch(/\.bddl: expected at most 10000 elements, found 10\d\d\d/);
  });

  test("a cabinet whose drawer is turned in a way that placement does not know", () => {
    edit(cabinet(), (text) => text.replace(/quat="[^"]*"/, 'euler="0 0 1"'));
    const init = `(On box_1 cabinet_1_top_region) ${placed}`;
    expect(refusal(() => compose(tinyBddl({ init })))).toContain(
      '<body name="cabinet_1_drawer">: expected its orientation as quat, found euler',
    );
  });

  test("a region too small for what it is to hold", () => {
    const init = `(On box_1 main_table_tight) (On box_2 main_table_tight) ${placed}`;
    expect(refusal(() => compose(tinyBddl({ regions: range("(0 0 0.03 0.03)"), init })))).toContain(
      "(:init ...): expected room for all objects, found none in 100 resets",
    );
  });

  test("a drawer whose quaternion is no rotation", () => {
    edit(cabinet(), (text) => text.replace(/quat="[^"]*"/, 'quat="2 0 0 0"'));
    const init = `(On box_1 cabinet_1_top_region) ${placed}`;
    expect(refusal(() => compose(tinyBddl({ init })))).toContain(
      '<body name="cabinet_1_drawer"> quat: expected a quaternion of length 1, found "2 0 0 0"',
    );
  });

  test("an arena or a robot that lacks what the environment uses", () => {
    edit(arena(), (text) => text.replace('file="../textures/any-floor.png"', 'builtin="flat"'));
    expect(refusal(compose)).toContain('<texture name="texplane">: expected an attribute file, found none');
    edit(arena(), (text) => text.replace('builtin="flat"', 'file="../textures/any-floor.png"'));
    for (const [path, from, to, message] of [
      [
        robot("robots", "panda", "robot.xml"),
        'name="joint7"',
        'name="joint8"',
        '<joint> that becomes "robot0_joint7"',
      ],
      [
        robot("robots", "panda", "robot.xml"),
        'name="torq_j3"',
        'name="t"',
        '<motor> that becomes "robot0_torq_j3"',
      ],
      [
        robot("robots", "panda", "robot.xml"),
        "eye_in_hand",
        "eye",
        '<camera> that becomes "robot0_eye_in_hand"',
      ],
      [
        robot("grippers", "panda_gripper.xml"),
        "grip_site",
        "tip",
        '<site> that becomes "gripper0_grip_site"',
      ],
      [
        robot("mounts", "rethink_mount.xml"),
        /<body.*<\/body>/,
        "",
        "rethink_mount.xml: expected <body> in <worldbody>, found none",
      ],
    ] as const) {
      const before = readFileSync(path, "utf8");
      edit(path, (text) => text.replace(from, to));
      expect(refusal(compose)).toContain(message);
      writeFileSync(path, before);
    }
    expect(compose().objects).toHaveLength(3);
  });

  test("pictures that are none, and such as would not fit into memory", () => {
    const picture = join(clone.assets, "crates", "box", "first.png");
    const size = (width: number, height: number): Buffer => {
      const head = Buffer.from("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\0\0", "latin1");
      head.writeUInt32BE(width, 16);
      head.writeUInt32BE(height, 20);
      return head;
    };
    for (const [bytes, message] of [
      [Buffer.alloc(0), "expected a PNG picture, found 0 bytes"],
      [Buffer.alloc(64), "expected a PNG picture, found other first bytes"],
      [size(0, 4), "found 0 × 4 pixels"],
      [size(60000, 60000), "expected at most 67108864 pixels, found 60000 × 60000"],
    ] as const) {
      writeFileSync(picture, bytes);
      expect(refusal(compose)).toContain(`${picture}: `);
      expect(refusal(compose)).toContain(message);
    }
    rmSync(picture);
    mkdirSync(picture);
    expect(refusal(compose)).toContain(`${picture}: expected a regular file, found a folder`);
  });

  test.skipIf(process.platform === "win32")(
    "a pipe in place of an asset, without waiting for a writer",
    () => {
      const picture = join(clone.assets, "crates", "box", "first.png");
      rmSync(picture);
      execFileSync("mkfifo", [picture]);
      expect(refusal(compose)).toContain(`${picture}: expected a regular file, found a device or pipe`);
    },
  );

  test("neither a byte-order mark nor names that every JavaScript object has", () => {
    edit(box(), (text) => `\ufeff${text}`);
    for (const name of ["constructor", "__proto__", "tostring"]) {
      const folder = join(clone.assets, "crates", name);
      mkdirSync(folder);
      writeFileSync(join(folder, `${name}.xml`), readFileSync(box()));
      writeFileSync(join(folder, "first.png"), readFileSync(join(dirname(box()), "first.png")));
      const scene = compose(tinyBddl({ objects: `box_1 box_2 - box ${name} - ${name}` }));
      expect(scene.objects[2]).toMatchObject({ name, category: name, articulation: null });
    }
  });
});
