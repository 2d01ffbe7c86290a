import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whether there is a real server to test with: one of the environment, or one that can be started. */
export const hasRedis =
  Boolean(process.env.REDIS_URL) || spawnSync("redis-server", ["--version"]).status === 0;

/** A Redis server that ends with the tests, and keeps nothing; or that of `REDIS_URL`. */
export class RedisServer implements AsyncDisposable {
  readonly url: string;
  readonly #folder: string | null;
  readonly #child: ChildProcess | null;

  private constructor(url: string, folder: string | null, child: ChildProcess | null) {
    this.url = url;
    this.#folder = folder;
    this.#child = child;
  }

  static async start(): Promise<RedisServer> {
    const { REDIS_URL } = process.env;
    if (REDIS_URL) return new RedisServer(REDIS_URL, null, null);
    const folder = mkdtempSync(join(tmpdir(), "nina-redis-"));
    const port = await freePort();
    const options = ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    const child = spawn("redis-server", [...options, "--dir", folder]);
    await new Promise<void>((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", () => reject(new Error("redis-server ended")));
      child.stdout.on("data", (text) => String(text).includes("Ready to accept") && resolve());
    });
    return new RedisServer(`redis://127.0.0.1:${port}`, folder, child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child === null) return;
    const ended = new Promise((resolve) => this.#child!.on("exit", resolve));
    this.#child.kill();
    await ended;
    rmSync(this.#folder!, { recursive: true });
  }
}

/** A line to a server that can be cut. */
export class CutLine implements Disposable {
  readonly port: number;
  readonly #target: URL;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;

  private constructor(target: string, port: number) {
    this.#target = new URL(target);
    this.port = port;
  }

  static async to(target: string): Promise<CutLine> {
    const line = new CutLine(target, await freePort());
    await line.mend();
    return line;
  }

  cut(): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  mend(): Promise<void> {
    const { hostname, port } = this.#target;
    this.#server = createServer((near) => {
      const far = connect(Number(port || 6379), hostname);
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on("error", () => {}); // the cut
        socket.on("close", () => (socket === near ? far : near).destroy());
      }
      near.pipe(far).pipe(near);
    });
    return new Promise((resolve) => this.#server!.listen(this.port, "127.0.0.1", resolve));
  }

  [Symbol.dispose](): void {
    this.cut();
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
