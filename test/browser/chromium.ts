/** Real Chromium for tests: its software drivers compute what a GPU would, slowly. */
import { existsSync } from "node:fs";

const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Where Chromium is: `$CHROMIUM`, or where Debian puts it; null when it is not installed. */
export const chromiumPath = (): string | null =>
  [process.env.CHROMIUM, ...PATHS].find((path) => path && existsSync(path)) ?? null;

/** WebGL 2 and WebGPU on SwiftShader, which comes with Chromium. Without these flags WebGPU offers no adapter. */
export const SOFTWARE_GPU = [
  "--no-sandbox",
  "--use-gl=angle",
  "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
];
