import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

test("the README's example runs and its samples lie near the line", () => {
  const [, snippet] = readFileSync(join(ROOT, "README.md"), "utf8").match(/```ts\n(.*?)```/s)!;
  // Inside the project, where the package knows itself by name; the folder is ignored by git.
  mkdirSync(join(ROOT, "out"), { recursive: true });
  const folder = mkdtempSync(join(ROOT, "out", "readme-"));
  try {
    writeFileSync(join(folder, "example.ts"), snippet);
    const { stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", join(folder, "example.ts")], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    const points = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" ").map(Number));
    expect(points).toHaveLength(3);
    // The points have a spread of 0.1 about the line; the fit is not exact.
    for (const [x, y] of points) expect(Math.abs(y - (2 * x + 1))).toBeLessThan(0.7);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
