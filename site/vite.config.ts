import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plugin, UserConfig } from "vite";

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/**
 * Pages whose answers say so are isolated from others, and may share memory with their workers: kernels then use
 * threads.
 */
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** The documentation has been built (`npm run site:docs`) to where it is published: served from there. */
const docs: Plugin = {
  name: "docs",
  configureServer({ middlewares }) {
    middlewares.use((request, _response, next) => {
      if (request.url?.startsWith("/docs/")) request.url = `/dist${request.url}`;
      next();
    });
  },
};

/**
 * The pages that live in a browser: `npm run site` serves them, `npm run site:build` writes them into site/dist, beside
 * the documentation (site/dist/docs). Any web server can serve that folder; without the headers, kernels use one
 * thread.
 */
export default {
  root: path("."),
  base: "./",
  publicDir: false,
  appType: "mpa", // an address that leads nowhere is no page
  plugins: [docs],
  server: { headers, fs: { allow: [path("..")] } },
  preview: { headers },
  // Its own script looks for the WebAssembly that lies beside it.
  optimizeDeps: { exclude: ["@mujoco/mujoco"] },
  worker: { format: "es", rolldownOptions: { output: { keepNames: true } } },
  build: {
    outDir: path("dist"),
    emptyOutDir: false,
    target: "es2022",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000,
    rolldownOptions: {
      output: { keepNames: true }, // layers are shown, and errors begin, with the names of classes
      input: ["index.html", "robot.html", "flow.html"].filter((name) => existsSync(path(name))).map(path),
    },
  },
} satisfies UserConfig;
