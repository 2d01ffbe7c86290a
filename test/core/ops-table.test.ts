import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import * as core from "../../core/index.ts";
import * as ops from "../../core/ops/index.ts";

it("docs/ops.md names every op, every function of several tensors and every way to make one, and nothing else", () => {
  const page = readFileSync(new URL("../../docs/ops.md", import.meta.url), "utf8");
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  const names = rows.flatMap((row) =>
    [...row.split("` | ")[0].matchAll(/`(\.|Tensor\.)?(\w+)/g)].map(([, of = "", name]) => of + name),
  );
  const made = Object.getOwnPropertyNames(core.Tensor).filter(
    (name) => !["prototype", "name", "length"].includes(name),
  );
  const inside = ["over", "reserve"]; // what devices and plans are made of
  const expected = [
    ...Object.keys(ops).map((name) => `.${name}`),
    ...made.filter((name) => !inside.includes(name)).map((name) => `Tensor.${name}`),
    ...(["concat", "einsum", "stack"] satisfies (keyof typeof core)[]),
  ];
  expect(names.toSorted()).toEqual(expected.toSorted());
});
