/** The page: shows what the worker tells, and asks it for what somebody wants. */
import { at, element, fill } from "../dom.ts";
import { LayersView } from "./layers-view.ts";
import type { Command, FoundDevice, News, Picture, Point, TaskInfo } from "./messages.ts";
import { Strip } from "./strip.ts";

/** How far an arrow key moves a block, metres. On the picture, up is towards the robot and right is its left. */
const NUDGES: Readonly<Record<string, readonly [dx: number, dy: number]>> = {
  ArrowUp: [-0.01, 0],
  ArrowDown: [0.01, 0],
  ArrowLeft: [0, -0.01],
  ArrowRight: [0, 0.01],
};

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const ask = (command: Command): void => worker.postMessage(command);

const [task, device, object] = ["task", "device", "object"].map((id) => at<HTMLSelectElement>(id));
const [init, words, paced] = ["init", "words", "paced"].map((id) => at<HTMLInputElement>(id));
const [play, step, reset, ownWords] = ["play", "step", "reset", "own-words"].map((id) =>
  at<HTMLButtonElement>(id),
);
const agentview = at<HTMLCanvasElement>("agentview");
const layers = new LayersView();
const strip = new Strip((chunk) => ask({ do: "inspect", chunk }));

let tasks: readonly TaskInfo[] = [];
let state: "loading" | "paused" | "playing" | "over" = "loading";
let instruction = "";
let mostSteps = 0;

function become(next: typeof state): void {
  state = next;
  play.textContent = state === "playing" ? "Pause" : "Play";
  play.disabled = state === "loading" || state === "over";
  step.disabled = play.disabled;
  for (const one of [task, init, device, words, reset, ownWords]) one.disabled = state === "loading";
}

function open(): void {
  const chosen = tasks[task.selectedIndex];
  const start = Math.min(chosen.starts - 1, Math.max(0, Math.floor(init.valueAsNumber || 0)));
  init.max = String(chosen.starts - 1);
  init.value = String(start);
  say("", "opening the scene");
  become("loading");
  ask({ do: "open", task: chosen.name, init: start });
}

function findGpus(): void {
  const finder = new Worker(new URL("./gpu-worker.ts", import.meta.url), { type: "module" });
  finder.onmessage = ({ data: found }: MessageEvent<readonly FoundDevice[]>) => {
    fill(device, [["cpu", "WebAssembly"], ...found.map(({ name, driver }) => [name, driver] as const)]);
    at("devices").hidden = found.length === 0;
    finder.terminate();
  };
}

function say(badge: "" | "good" | "bad", text: string, more = ""): void {
  const name = { "": "now", good: "success", bad: "failure" }[badge];
  at("status").replaceChildren(
    element("span", { className: `badge ${badge}`, textContent: name }),
    ` ${text} `,
    element("span", { className: "hint", textContent: more }),
  );
}

function draw(canvas: HTMLCanvasElement, { side, pixels }: Picture): void {
  if (canvas.width !== side) canvas.width = canvas.height = side;
  canvas.getContext("2d")!.putImageData(new ImageData(pixels, side, side), 0, 0);
}

const show: { readonly [K in News["is"]]: (news: Extract<News, { is: K }>) => void } = {
  loading: ({ words }) => say("", words),
  ready(news) {
    tasks = news.tasks;
    fill(
      task,
      tasks.map(({ name, instruction }) => [name, instruction]),
    );
    const isolated = self.crossOriginIsolated ? "" : " (more where the page is isolated)";
    at("engine").textContent = `The policy computes with ${news.engine}${isolated}.`;
    open();
    findGpus();
  },
  opened(news) {
    ({ instruction, maxSteps: mostSteps } = news);
    words.value = instruction;
    fill(
      object,
      news.objects.map((name) => [name, name.replace(/_\d+$/, "").replaceAll("_", " ")]),
    );
    strip.clear();
    layers.clear();
  },
  seen({ step, agentview: front, wrist, goal, cost }) {
    if (state === "loading") {
      say("", "ready to play");
      become("paused");
    }
    draw(agentview, front);
    draw(at<HTMLCanvasElement>("wrist"), wrist);
    at("steps").textContent = `step ${step} of at most ${mostSteps}`;
    at("goal").replaceChildren(
      ...goal.map(({ term, holds }) =>
        element("li", { className: holds ? "holds" : "", textContent: term.replaceAll("_", " ") }),
      ),
    );
    const [physics, policy] = [cost.simulate, cost.policy].map((ms) => ms.toFixed(1));
    at("cost").textContent = step > 0 ? `${physics} ms of physics a step, ${policy} ms for a chunk` : "";
  },
  chunk: ({ chunk }) => strip.add(chunk),
  layers: (news) => layers.show(news.layers),
  grabbed({ object: name }) {
    agentview.classList.toggle("holding", name !== null);
    if (name !== null) object.value = name;
  },
  ended({ ended: { outcome, error, steps, trajectoryHash, touched } }) {
    become("over");
    if (outcome === "error") return say("bad", error ?? "");
    const inNode = `npm run eval -- --tasks ${task.value} --first ${init.value} --episodes 1 --json /dev/stdout`;
    const untouched =
      device.value === "cpu" ? `the hash in Node: ${inNode}` : "a GPU rounds in a way of its own";
    const way = touched ? "somebody had a hand in it" : untouched;
    say(outcome === "success" ? "good" : "bad", `after ${steps} steps;`, way);
    at("status").append(
      element("br"),
      element("code", { title: "SHA-256 of the simulation's way", textContent: trajectoryHash }),
    );
  },
  broken({ message }) {
    become("over");
    say("bad", message);
  },
};

worker.onmessage = ({ data }: MessageEvent<News>) => show[data.is](data as never);
worker.onerror = ({ message }) => show.broken({ is: "broken", message });

task.addEventListener("change", open);
init.addEventListener("change", open);
reset.addEventListener("click", open);
device.addEventListener("change", () => {
  become("loading");
  say("", "loading the weights");
  ask({ do: "compute", device: device.value });
});
function toggle(): void {
  if (play.disabled) return;
  const goes = state !== "playing";
  become(goes ? "playing" : "paused");
  if (goes) say("", "playing");
  else say("", "paused");
  ask(goes ? { do: "play", paced: paced.checked } : { do: "pause" });
}
play.addEventListener("click", toggle);
paced.addEventListener("change", () => {
  if (state === "playing") ask({ do: "play", paced: paced.checked });
});
step.addEventListener("click", () => {
  become("paused");
  ask({ do: "step" });
});
words.addEventListener("input", () => ask({ do: "say", words: words.value }));
at("say").addEventListener("submit", (event) => event.preventDefault());
ownWords.addEventListener("click", () => {
  words.value = instruction;
  ask({ do: "say", words: instruction });
});

function placeOf({ clientX, clientY }: PointerEvent): Point {
  const { left, top, width, height } = agentview.getBoundingClientRect();
  const inside = (share: number): number => Math.min(0.999, Math.max(0, share));
  return [inside((clientX - left) / width), inside((clientY - top) / height)];
}

agentview.addEventListener("pointerdown", (event) => {
  if (state === "loading") return;
  agentview.setPointerCapture(event.pointerId);
  ask({ do: "grab", at: placeOf(event) });
});
agentview.addEventListener("pointermove", (event) => {
  if (event.buttons > 0 && state !== "loading") ask({ do: "drag", at: placeOf(event) });
});
for (const end of ["pointerup", "pointercancel"] as const)
  agentview.addEventListener(end, () => {
    agentview.classList.remove("holding");
    ask({ do: "drop" });
  });
agentview.addEventListener("keydown", (event) => {
  if (event.key === " ") toggle();
  else if (Object.hasOwn(NUDGES, event.key) && object.value !== "")
    ask({ do: "nudge", object: object.value, by: NUDGES[event.key] });
  else return;
  event.preventDefault();
});
