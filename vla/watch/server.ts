import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CAMERAS, type Live } from "./live.ts";

/** Only this machine sees the page. */
const HOST = "127.0.0.1";
/** Between two looks at the run, milliseconds. */
const PERIOD = 500;
/** Pages that are told of it; each has a few connections. */
const [MOST_PAGES, MOST_CONNECTIONS] = [8, 64];
/** How long pages have to hear that the run is over, milliseconds. */
const GOODBYE = 500;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly content: string | Uint8Array;
}

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), "utf8");
const page = (type: string, content: string): Answer => ({
  status: 200,
  type: `${type}; charset=utf-8`,
  content,
});
const FILES: Readonly<Record<string, Answer>> = {
  "/": page("text/html", read("page.html")),
  "/page.js": page("text/javascript", read("page.js")),
  "/page.css": page("text/css", read("../report/page.css") + read("page.css")),
};

const HEADERS = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-store",
};

/** A page of this machine that follows a run: twice a second it is told what has changed, by server-sent events. */
export class WatchServer implements AsyncDisposable {
  readonly #live: Live;
  readonly #http: Server;
  readonly #pages = new Set<ServerResponse>();
  /** What was told last. */
  #told = "";
  #timer: NodeJS.Timeout | null = null;

  private constructor(live: Live) {
    this.#live = live;
    const limits = { headersTimeout: 10_000, requestTimeout: 10_000 };
    this.#http = createServer(limits, (request, response) => this.#answer(request, response));
    this.#http.maxConnections = MOST_CONNECTIONS;
  }

  /** @param port 0 takes any that is free. @throws Error for one that is taken. */
  static async open(live: Live, port: number): Promise<WatchServer> {
    const server = new WatchServer(live);
    await new Promise<void>((resolve, reject) => {
      const refuse = (cause: Error): void =>
        reject(new Error(`--watch: no page at ${HOST}:${port}: ${cause.message}`, { cause }));
      server.#http.once("error", refuse);
      server.#http.listen(port, HOST, () => {
        server.#http.off("error", refuse);
        // Such as no more files for connections: the run is worth more than its page.
        server.#http.on("error", () => {});
        resolve();
      });
    });
    return server;
  }

  get url(): string {
    return `http://${this.#host}/`;
  }

  get #host(): string {
    return `${HOST}:${(this.#http.address() as AddressInfo).port}`;
  }

  /** Tells the pages that the run is over. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#live.end();
    this.#tell();
    this.#stop();
    const closed = new Promise((resolve) => this.#http.close(resolve));
    for (const page of this.#pages) page.end();
    const cut = setTimeout(() => this.#http.closeAllConnections(), GOODBYE);
    this.#http.closeIdleConnections();
    await closed;
    clearTimeout(cut);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const answer = this.#refusal(request) ?? this.#find(request.url ?? "");
    if (answer !== "events") {
      response.writeHead(answer.status, { ...HEADERS, "Content-Type": answer.type });
      response.end(answer.content);
      return;
    }
    response.writeHead(200, { ...HEADERS, "Content-Type": "text/event-stream" });
    response.write(event(JSON.stringify(this.#live.state)));
    this.#pages.add(response);
    this.#timer ??= setInterval(() => this.#tell(), PERIOD);
    response.on("close", () => {
      this.#pages.delete(response);
      if (this.#pages.size === 0) this.#stop();
    });
  }

  #refusal({ method, headers }: IncomingMessage): Answer | null {
    // A page of elsewhere whose name was made to mean this machine would have its own name here.
    if (headers.host !== this.#host) return plain(403, `expected ${this.#host}`);
    return method === "GET" ? null : plain(405, "expected GET");
  }

  #find(url: string): Answer | "events" {
    const [path] = url.split("?");
    if (path === "/events") return this.#pages.size < MOST_PAGES ? "events" : plain(503, "too many pages");
    if (Object.hasOwn(FILES, path)) return FILES[path];
    const [, id, camera = ""] = /^\/picture\/(\d{1,9})\/(\w+)$/.exec(path) ?? [];
    const png = isCamera(camera) ? this.#live.picture(Number(id), camera) : null;
    return png ? { status: 200, type: "image/png", content: png } : plain(404, "nothing here");
  }

  #tell(): void {
    if (this.#pages.size === 0) return;
    const state = JSON.stringify(this.#live.state);
    if (state === this.#told) return;
    this.#told = state;
    // One that does not read is not told more until it does.
    for (const page of this.#pages) if (!page.writableNeedDrain) page.write(event(state));
  }

  #stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }
}

const event = (json: string): string => `data: ${json}\n\n`;

const plain = (status: number, words: string): Answer => ({
  status,
  type: "text/plain",
  content: `${words}\n`,
});

const isCamera = (name: string): name is keyof typeof CAMERAS => Object.hasOwn(CAMERAS, name);
