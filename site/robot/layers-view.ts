import { at, element, shape } from "../dom.ts";
import type { Layers } from "./messages.ts";

/** Of an action, in order. */
const DIMENSIONS = ["x", "y", "z", "roll", "pitch", "yaw", "gripper"] as const;
/** What is drawn of an axis: actions are within ±1, noise within about ±2.5. */
const HIGHEST = 2.6;
const [WIDTH, HEIGHT] = [100, 60];
/** Between two layers when all are played through, milliseconds. */
const BEAT = 90;

/** The curves of a chunk on its way from noise, and the slider that chooses the layer. */
export class LayersView {
  readonly #slider = at<HTMLInputElement>("layer");
  readonly #name = at("layer-name");
  readonly #plots = DIMENSIONS.map((name) => plot(name));
  #layers: Layers | null = null;
  #timer = 0;

  constructor() {
    at("curves").append(...this.#plots.map(({ figure }) => figure));
    this.#slider.addEventListener("input", () => {
      clearInterval(this.#timer);
      this.#draw();
    });
    at("through").addEventListener("click", () => this.#playThrough());
  }

  show(layers: Layers): void {
    const last = layers.stages.length - 1;
    const wasAtEnd = this.#layers === null || this.#slider.value === this.#slider.max;
    this.#layers = layers;
    this.#slider.max = String(last);
    if (wasAtEnd) this.#slider.value = String(last);
    at("layers").hidden = false;
    this.#draw();
  }

  /** There is no chunk any more. */
  clear(): void {
    clearInterval(this.#timer);
    this.#layers = null;
    at("layers").hidden = true;
  }

  #playThrough(): void {
    clearInterval(this.#timer);
    this.#slider.value = "0";
    this.#draw();
    this.#timer = window.setInterval(() => {
      this.#slider.stepUp();
      this.#draw();
      if (this.#slider.value === this.#slider.max) clearInterval(this.#timer);
    }, BEAT);
  }

  #draw(): void {
    if (!this.#layers) return;
    const { stages, steps, width } = this.#layers;
    const chosen = Number(this.#slider.value);
    const { layer, logDet, draws } = stages[chosen];
    const words = layer
      ? `after ${chosen} of ${stages.length - 1} layers: ${layer}, log |det| ${logDet.toFixed(2)}`
      : "noise, before any layer";
    this.#name.textContent = words;
    this.#slider.setAttribute("aria-valuetext", words);
    for (const [dimension, { own, others }] of this.#plots.entries()) {
      const curve = (draw: Float32Array): string => curveOf(draw, dimension, steps, width);
      own.setAttribute("d", curve(draws[0]));
      others.setAttribute("d", draws.slice(1).map(curve).join(""));
    }
    at("logdets").replaceChildren(bars(stages.map((stage) => stage.logDet).slice(1), chosen - 1));
  }
}

function plot(name: string): { figure: HTMLElement; own: SVGPathElement; others: SVGPathElement } {
  const drawing = shape("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  const [others, own] = [shape("path", { class: "other" }), shape("path", { class: "own" })];
  for (const limit of [-1, 1])
    drawing.append(shape("path", { class: "limit", d: `M0 ${row(limit)}H${WIDTH}` }));
  drawing.append(others, own);
  const figure = element("figure", {}, element("figcaption", { textContent: name }));
  figure.prepend(drawing);
  return { figure, own, others };
}

function curveOf(draw: Float32Array, dimension: number, steps: number, width: number): string {
  const points = Array.from({ length: steps }, (_, step) => {
    const x = (step / Math.max(1, steps - 1)) * WIDTH;
    return `${x.toFixed(1)} ${row(draw[step * width + dimension])}`;
  });
  return `M${points.join("L")}`;
}

/** From the top. */
function row(value: number): string {
  const share = Math.min(1, Math.max(-1, value / HIGHEST));
  return ((HEIGHT * (1 - share)) / 2).toFixed(1);
}

/** A bar for each number, from the line in the middle up or down. */
function bars(values: readonly number[], current: number): SVGSVGElement {
  const most = Math.max(1e-9, ...values.map(Math.abs));
  const pitch = WIDTH / values.length;
  const drawing = shape("svg", {
    viewBox: `0 0 ${WIDTH} 40`,
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  drawing.append(shape("line", { x1: 0, x2: WIDTH, y1: 20, y2: 20 }));
  for (const [i, value] of values.entries()) {
    const height = (18 * Math.abs(value)) / most;
    const box = { x: (i + 0.15) * pitch, y: value > 0 ? 20 - height : 20, width: 0.7 * pitch, height };
    drawing.append(shape("rect", { ...box, class: i === current ? "current" : "" }));
  }
  return drawing;
}
