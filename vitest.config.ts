import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { tsconfigPaths: true }, // "nina-ts" is the sources here
  test: {
    include: ["test/**/*.test.ts"],
    // Those need a browser, and a registry of packages.
    exclude: [...configDefaults.exclude, "test/pages/**", "test/package/**"],
    setupFiles: ["test/setup.ts"],
    // Scenes compile and whole episodes run in some tests; two cores share the work.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    // Unless told, Vitest leaves a core to itself, which is half of two.
    maxWorkers: "100%",
  },
});
