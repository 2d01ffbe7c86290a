/** The worker of the page: simulator and policy run here, so that the page stays awake. */
import { engineInfo, setThreads } from "../../core/index.ts";
import { fetchSuite } from "./files.ts";
import type { Command, News } from "./messages.ts";
import { Session } from "./session.ts";

/** The encoder is small: more threads would wait for each other. */
const MOST_THREADS = 4;

const tell = (news: News): void => {
  const pictures = news.is === "seen" ? [news.agentview.pixels.buffer, news.wrist.pixels.buffer] : [];
  self.postMessage(news, { transfer: pictures });
};

const broken = (error: unknown): void => tell({ is: "broken", message: (error as Error).message });

/** Commands that came before there was anybody to do them. */
const early: Command[] = [];
let ask = (command: Command): void => void early.push(command);
self.onmessage = ({ data }: MessageEvent<Command>) => ask(data);

async function begin(): Promise<void> {
  tell({ is: "loading", words: "fetching the suite and the weights" });
  await fetchSuite();
  tell({ is: "loading", words: "reading the weights" });
  const threads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  setThreads(threads);
  const session = new Session(tell);
  const { fma } = engineInfo();
  const kernels = `WebAssembly SIMD${fma ? " with fused multiply-add" : ""}`;
  const engine = `${kernels}, ${threads === 1 ? "1 thread" : `${threads} threads`}`;
  tell({ is: "ready", tasks: session.tasks, engine });
  ask = (command) => void session.do(command).catch(broken);
  for (const command of early) ask(command);
}

begin().catch(broken);
