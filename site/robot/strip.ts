import { HEIGHT, stepPath, WIDTH } from "../../vla/report/lanes.ts";
import { at, element, shape } from "../dom.ts";
import type { ChunkInfo } from "./messages.ts";

/** The likelihood of each chunk over the episode, drawn as in a run's report, and which chunk is looked into. */
export class Strip {
  readonly #host = at("strip");
  readonly #empty = [...at("strip").childNodes];
  readonly #slider = at<HTMLInputElement>("chunk");
  #chunks: ChunkInfo[] = [];

  /** @param choose told which chunk somebody wants to look into. */
  constructor(choose: (chunk: number) => void) {
    this.#slider.addEventListener("input", () => {
      choose(Number(this.#slider.value));
      this.#draw();
    });
  }

  add(chunk: ChunkInfo): void {
    const wasAtEnd = this.#slider.value === this.#slider.max;
    this.#chunks.push(chunk);
    this.#slider.max = String(chunk.index);
    if (wasAtEnd) this.#slider.value = this.#slider.max;
    this.#draw();
  }

  clear(): void {
    this.#chunks = [];
    this.#slider.max = this.#slider.value = "0";
    at("chunk-label").hidden = true;
    this.#host.replaceChildren(...this.#empty);
  }

  #draw(): void {
    const values = this.#chunks.map(({ logProb }) => logProb);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const chosen = Number(this.#slider.value);
    const { step, words, logProb } = this.#chunks[chosen];
    const lane = shape("svg", { class: "lane", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
    lane.setAttribute("preserveAspectRatio", "none");
    lane.append(shape("path", { class: "line", d: stepPath(values, low, high) }));
    const mark = element("div", { className: "mark" });
    mark.style.left = `${(100 * chosen) / values.length}%`;
    mark.style.width = `${100 / values.length}%`;
    const told = `chunk ${chosen + 1} of ${values.length}, at step ${step}: ${logProb.toFixed(1)} nats, told “${words}”`;
    const range = element("div", { className: "range number" });
    range.append(
      element("span", { textContent: told }),
      element("span", { textContent: `${low.toFixed(1)} to ${high.toFixed(1)} nats` }),
    );
    this.#slider.setAttribute("aria-valuetext", told);
    this.#host.replaceChildren(lane, mark, range);
    at("chunk-label").hidden = values.length < 2;
  }
}
