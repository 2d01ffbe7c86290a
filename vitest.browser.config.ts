import { defineConfig } from "vitest/config";

/** Tests that run on each device, here on those of a real browser, and looks at pages: `npm run test:browser`. */
export default defineConfig({
  resolve: { tsconfigPaths: true },
  test: {
    include: ["test/devices/**/*.test.ts", "test/pages/**/*.test.ts"],
    setupFiles: ["test/setup.ts"],
    globalSetup: ["test/browser/setup.ts"],
    env: { NINA_GPU_MODES: "webgl2 webgpu" },
    // Software drivers take their time to compile, most of all on a busy machine.
    testTimeout: 180_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 30_000 } },
    pool: "forks",
    fileParallelism: false,
  },
});
