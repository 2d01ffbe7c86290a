/** Once for all test files: a browser, and a server of the page that its tabs open. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { build, type Rollup } from "vite";
import type { TestProject } from "vitest/node";
import { chromiumPath, SOFTWARE_GPU } from "./chromium.ts";

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const executablePath = chromiumPath();
  if (!executablePath) {
    provide("browser", null);
    return async () => {};
  }
  const scripts = await bundle();
  const server = createServer(({ url = "/" }, response) => {
    const script = scripts.get(url);
    response.setHeader("content-type", script ? "text/javascript" : "text/html; charset=utf-8");
    response.end(
      script ?? '<!doctype html><title>nina-ts</title><script type="module" src="/page.js"></script>',
    );
  });
  // A page of this machine counts as secure, which WebGPU asks for.
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  const browser = await chromium.launchServer({ executablePath, args: SOFTWARE_GPU });
  const { port } = server.address() as AddressInfo;
  provide("browser", { endpoint: browser.wsEndpoint(), url: `http://localhost:${port}/` });
  return async () => {
    await browser.close();
    server.close();
  };
}

/** page.ts with GPU.js: the scripts by their addresses. */
async function bundle(): Promise<ReadonlyMap<string, string>> {
  const entry = fileURLToPath(new URL("page.ts", import.meta.url));
  const lib = { entry, formats: ["es" as const], fileName: () => "page.js" };
  const built = await build({ configFile: false, logLevel: "error", build: { write: false, lib } });
  const outputs = ([built].flat() as Rollup.RollupOutput[]).flatMap(({ output }) => output);
  return new Map(
    outputs.flatMap((part) => (part.type === "chunk" ? [[`/${part.fileName}`, part.code]] : [])),
  );
}
