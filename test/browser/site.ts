import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const configFile = fileURLToPath(new URL("../../site/vite.config.ts", import.meta.url));

/** Builds the pages of `site` into a folder, as `npm run site:build` does. */
export async function buildSite(folder: string): Promise<void> {
  await build({ configFile, logLevel: "error", build: { outDir: folder } });
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
};

const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** A web server of a folder; its pages are isolated from others where asked for. */
export async function serveFolder(
  folder: string,
  { isolated }: { readonly isolated: boolean },
): Promise<{ readonly url: string; close(): void }> {
  const server: Server = createServer(async ({ url = "/" }, response) => {
    const path = new URL(url, "http://site").pathname;
    try {
      const content = await readFile(join(folder, path));
      const headers = isolated ? ISOLATED : {};
      response.writeHead(200, {
        ...headers,
        "Content-Type": TYPES[extname(path)] ?? "application/octet-stream",
      });
      response.end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  return { url: `http://localhost:${(server.address() as AddressInfo).port}/`, close: () => server.close() };
}
