import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/setup.ts"],
    // Scenes compile and whole episodes run in some tests; two cores share the work.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
  },
});
