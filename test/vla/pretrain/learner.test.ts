import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Cache, Random, readText } from "../../../core/index.ts";
import { demonstrationHeader } from "../../../vla/collect/header.ts";
import { ExampleSet } from "../../../vla/data/example-set.ts";
import { writeLiberoDemonstrations } from "../../../vla/data/libero-hdf5-writer.ts";
import { trainBpe } from "../../../vla/florence2/bpe-train.ts";
import { Tokenizer } from "../../../vla/florence2/tokenizer.ts";
import { resetDrawsOf } from "../../../vla/libero/compose/scene.ts";
import { LiberoEnv } from "../../../vla/libero/env.ts";
import { createRenderer } from "../../../vla/libero/render/renderer.ts";
import { groupByScene, type SceneTask } from "../../../vla/libero/scene-mates.ts";
import { loadSuite } from "../../../vla/libero/suites.ts";
import { writeEncoder } from "../../../vla/pretrain/encoder-folder.ts";
import { evaluate } from "../../../vla/pretrain/evaluate.ts";
import type { FeedSettings, Source } from "../../../vla/pretrain/feed.ts";
import { GroundedEncoder, mapTokens } from "../../../vla/pretrain/grounded-encoder.ts";
import { LabelledSet } from "../../../vla/pretrain/labelled-set.ts";
import { GroundingLearner } from "../../../vla/pretrain/learner.ts";
import { RandomScenes } from "../../../vla/pretrain/random-scenes.ts";
import { MINI, miniRoots } from "../../../vla/suites/mini/roots.ts";
import { loadEncoder } from "../../../vla/train/encoder.ts";
import { restoreState, saveState } from "../../../vla/train/state.ts";
import { tinyEncoder } from "./tiny-encoder.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-ts-learner-"));
const SIDE = 32;
const groups = groupByScene(miniRoots, loadSuite(miniRoots.libero, MINI).tasks);
/** The scene with the fewest things. */
const group = groups.find(([{ scene }]) => scene.objects.length === 2) as SceneTask[];
let set: ExampleSet;
let examples: LabelledSet;

beforeAll(async () => {
  const [{ task, scene }] = group;
  using env = await LiberoEnv.open(scene, { renderer: createRenderer, imageSize: SIDE });
  const scenes = new RandomScenes(
    env,
    resetDrawsOf({ ...miniRoots, task }),
    group.map((one) => one.scene),
  );
  const episodes = Array.from({ length: 4 }, (_, i) => scenes.episode(5, new Random(i)));
  const header = demonstrationHeader(task, miniRoots.libero, readText(task.bddlPath, 2 ** 20), SIDE);
  await writeLiberoDemonstrations(join(folder, `${task.name}_demo.hdf5`), header, episodes);
  set = await ExampleSet.open({ path: folder, pairing: "causal", horizon: 2 });
  examples = await LabelledSet.open(set, groups, new Cache(null));
});
afterAll(() => {
  set[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

const settings: FeedSettings = {
  seed: 5,
  imageSize: SIDE,
  mapSide: Math.sqrt(mapTokens(tinyEncoder, SIDE)),
  augmentation: { pads: { agentview: 2, wrist: 1 }, gain: [0.9, 1.1] },
  tokens: (instruction) => Int32Array.of(0, 4 + (instruction.length % 7), 2),
};
const heads = { features: 32, tokens: settings.mapSide ** 2, steps: 2, actionWidth: 7 };
const makeModel = (): GroundedEncoder => new GroundedEncoder(tinyEncoder, heads).init(new Random(1));
const makeLearner = (): GroundingLearner => {
  const sources: Source[] = [
    { examples, size: 3, acts: true },
    { examples, size: 2, acts: false },
  ];
  return new GroundingLearner(makeModel(), sources, settings);
};

test("a run that goes on from its saved state ends with the weights of one that never stopped", async () => {
  const whole = makeLearner();
  for (let step = 0; step < 2; step++) await whole.update(step, 1e-3);
  const path = join(folder, "state.safetensors");
  await saveState(path, { step: 2, evaluated: true, best: null, seconds: 0, sums: {} }, whole);
  const second = makeLearner();
  expect(restoreState(path, second)?.step).toBe(2);
  for (const learner of [whole, second])
    for (let step = 2; step < 4; step++) await learner.update(step, 1e-3);
  expect(second.module.stateDict()).toEqual(whole.module.stateDict());
  for (const learner of [whole, second]) learner[Symbol.dispose]();
});

test("an encoder's folder is one that vla/train.ts takes", () => {
  const instructions = group.map(({ task }) => task.instruction);
  const vocabulary = trainBpe(instructions, { size: 300 });
  const florence = { ...tinyEncoder, vocab_size: new Tokenizer(vocabulary).size };
  const whole = new GroundedEncoder(florence, heads).init(new Random(1));
  const perception = { imageSize: SIDE, prompt: "instruction", promptLength: 20, cameraSize: SIDE } as const;
  const out = join(folder, "encoder");
  mkdirSync(out);
  writeEncoder(out, whole, { florence, perception, heads }, vocabulary);
  const read = loadEncoder(out);
  expect(read.perception.config).toEqual(perception);
  expect(read.perception.florence.stateDict()).toEqual(whole.vlm.stateDict());
  expect([...read.perception.tokens(instructions[0])].slice(0, 3)).toEqual(
    new Tokenizer(vocabulary).encode(instructions[0]).slice(0, 3),
  );
  for (const owner of [whole, read.perception.florence]) owner.dispose();
});

test("what is measured: every thing in both cameras, every task, with its own words and with others'", async () => {
  const found = await evaluate(
    makeModel(),
    { demonstrations: examples, scenes: examples },
    settings,
    () => false,
  );
  const names = Object.keys(found?.values ?? {});
  const things = ["object", "destination", "fingertips"];
  for (const camera of ["agentview", "wrist"])
    for (const thing of things)
      for (const measure of ["hits", "pixels"]) expect(names).toContain(`${measure}/${camera} ${thing}`);
  for (const thing of things) {
    expect(names).toContain(`millimetres/${thing}`);
    expect(names).toContain(`scenes/${thing}`);
  }
  // The file is of the first task; the other one's words are asked for as well.
  const [own, other] = group.map(({ task }) => task.name);
  expect(names.filter((name) => name.startsWith("tasks/"))).toEqual([`tasks/${own}`]);
  expect(names).toContain(`swapped/${other}`);
  expect(names).not.toContain(`swapped/${own}`);
  expect(names).toContain(`scenes/${other}`);
  for (const value of Object.values(found?.values ?? {})) expect(value).toBeGreaterThanOrEqual(0);
  expect(
    await evaluate(makeModel(), { demonstrations: examples, scenes: examples }, settings, () => true),
  ).toBeNull();
});
