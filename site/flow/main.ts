/** The page: a flow of the plane that the reader shapes. */
import { at, element, fill } from "../dom.ts";
import { EXAMPLES, fresh, KINDS, type KindName, type Setting } from "./kinds.ts";
import { NOISE, type Place, PlaneFlow, REACH } from "./model.ts";
import { type Colour, colourOf, inside, Plane, ramp } from "./plane.ts";

const MOST_LAYERS = 8;
/** How far an arrow key moves the point. */
const STEP = 0.1;
const ARROWS: Readonly<Record<string, Place>> = {
  ArrowUp: [0, STEP],
  ArrowDown: [0, -STEP],
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
};
/** After the last change, before laws are tried again, milliseconds. */
const PAUSE = 200;

const [data, noise, grid, volume] = ["data", "noise", "grid", "volume"].map(
  (id) => new Plane(at<HTMLCanvasElement>(id)),
);
let settings: Setting[] = [...EXAMPLES["waves on waves"]];
let flow = new PlaneFlow(settings);
let point: Place = [0.8, -0.4];
let frame = 0;
let timer = 0;

/** Lines of a lattice in the noise plane, each as points one behind the other. */
const LATTICE: readonly (readonly number[])[] = Array.from({ length: 17 }, (_, i) => (i - 8) / 2).flatMap(
  (value) => {
    const along = Array.from({ length: 81 }, (_, k) => (k - 40) / 10);
    return [along.flatMap((t) => [value, t]), along.flatMap((t) => [t, value])];
  },
);

function circle([x, y]: Place, radius: number): number[] {
  return Array.from({ length: 49 }, (_, i) => (i / 24) * Math.PI).flatMap((angle) => [
    x + radius * Math.cos(angle),
    y + radius * Math.sin(angle),
  ]);
}

/** Something changed: draw soon, try the laws once it rests. */
function changed(rebuilt: boolean): void {
  if (rebuilt) {
    flow[Symbol.dispose]();
    flow = new PlaneFlow(settings);
    clearTimeout(timer);
    at("laws").classList.add("stale");
    timer = window.setTimeout(judge, PAUSE);
  }
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(draw);
}

function draw(): void {
  const [card, ink, accent, seen, bad] = ["--card", "--ink", "--accent", "--seen", "--bad"].map(colourOf);
  const { density, logDet } = flow.maps();
  const most = density.reduce((a, b) => Math.max(a, b), 1e-12);
  const reading = flow.at(point);

  data.clear(card);
  data.heat(density, (value) => ramp([card, accent, ink], 0.85 * Math.sqrt(value / most)));
  data.dots(flow.toData(NOISE), ink, 0.35);
  data.mark(point, seen, card);

  noise.clear(card);
  for (const radius of [1, 2, 3]) noise.line(circle([0, 0], radius), accent, 1, 0.6);
  noise.dots(NOISE, ink, 0.35);
  noise.line(circle(reading.z, 0.35), seen, 1.5);
  noise.mark(reading.z, seen, card);

  grid.clear(card);
  for (const [i, line] of LATTICE.entries())
    grid.line(flow.toData(line), i % 2 === 0 ? accent : bad, i === 16 || i === 17 ? 2 : 1, 0.75);
  grid.line(flow.toData(circle(reading.z, 0.35)), seen, 2);
  grid.mark(point, seen, card);

  const reach = logDet.reduce((a, b) => Math.max(a, Math.abs(b)), 0.1);
  const scale: readonly Colour[] = [bad, card, accent];
  volume.clear(card);
  volume.heat(logDet, (value) => ramp(scale, 0.5 + value / (2 * reach)));
  volume.mark(point, seen, card);

  at("volume-scale").textContent = logDet.every((value) => Math.abs(value) < 1e-9)
    ? "0 everywhere: areas are kept"
    : `from −${reach.toFixed(2)} (stretched on the way to data) to ${reach.toFixed(2)}`;
  const { x, z, jacobian: J } = reading;
  const numbers = (values: ArrayLike<number>) => Array.from(values, (value) => value.toFixed(3)).join(", ");
  at("reading").replaceChildren(
    ...fact("x, data", numbers(x)),
    ...fact("z = f(x), noise", numbers(z)),
    ...fact("J = ∂z/∂x, by autograd", `[${numbers([J[0], J[1]])}], [${numbers([J[2], J[3]])}]`),
    ...fact("log |det J|, as the layers say", reading.logDet.toFixed(4)),
    ...fact("log p(x) = log p(z) + log |det J|", reading.logProb.toFixed(4)),
  );
}

const fact = (name: string, value: string): HTMLElement[] => [
  element("dt", { textContent: name }),
  element("dd", { textContent: value, className: "number" }),
];

function judge(): void {
  const rows = flow.verdicts().map(({ name, error, tolerance }) => {
    const holds = error <= tolerance;
    return element(
      "tr",
      { className: holds ? "holds" : "fails" },
      element(
        "td",
        {},
        element("span", {
          className: `badge ${holds ? "good" : "bad"}`,
          textContent: holds ? "holds" : "fails",
        }),
      ),
      element("td", { textContent: name }),
      element("td", { className: "number", textContent: error.toExponential(1) }),
      element("td", { className: "number", textContent: tolerance.toExponential(0) }),
    );
  });
  at("laws").replaceChildren(...rows);
  at("laws").classList.remove("stale");
}

/** The cards of all layers, in the order from data to noise. */
function showLayers(): void {
  at("layers").replaceChildren(...settings.map(card));
  at<HTMLButtonElement>("add").disabled = settings.length >= MOST_LAYERS;
}

function change(index: number, to: Setting): void {
  settings[index] = to;
  changed(true);
}

function card(setting: Setting, index: number): HTMLElement {
  const kind = KINDS[setting.kind];
  const name = `layer ${index + 1}, ${kind.title}`;
  const sliders = kind.knobs.map(({ key, label, low, high }) => {
    const value = element("output", { className: "number", textContent: setting.knobs[key].toFixed(2) });
    const slider = element("input", { type: "range", min: String(low), max: String(high), step: "0.01" });
    slider.value = String(setting.knobs[key]);
    slider.setAttribute("aria-label", `${name}: ${label}`);
    slider.addEventListener("input", () => {
      value.textContent = slider.valueAsNumber.toFixed(2);
      const knobs = { ...settings[index].knobs, [key]: slider.valueAsNumber };
      change(index, { ...settings[index], knobs });
    });
    return element("label", {}, element("span", {}, `${label} `, value), slider);
  });
  const kept = element("button", { type: "button", textContent: `keeps ${"xy"[setting.kept]}` });
  kept.setAttribute("aria-label", `${name}: keeps ${"xy"[setting.kept]}, change`);
  kept.addEventListener("click", () => {
    change(index, { ...settings[index], kept: settings[index].kept === 0 ? 1 : 0 });
    showLayers();
  });
  const button = (text: string, label: string, isOff: boolean, act: () => void): HTMLButtonElement => {
    const made = element("button", { type: "button", textContent: text, disabled: isOff });
    made.setAttribute("aria-label", `${name}: ${label}`);
    made.addEventListener("click", () => {
      act();
      showLayers();
      changed(true);
    });
    return made;
  };
  const swap = () => {
    settings.splice(index - 1, 2, settings[index], settings[index - 1]);
  };
  return element(
    "li",
    { className: "panel layer" },
    element(
      "div",
      { className: "row" },
      element("strong", { textContent: `${index + 1}. ${kind.title}` }),
      ...(kind.couples ? [kept] : []),
      button("↑", "one earlier", index === 0, swap),
      button("✕", "remove", false, () => settings.splice(index, 1)),
    ),
    element("p", { className: "hint formula", textContent: kind.formula }),
    ...sliders,
  );
}

function watch(plane: Plane, toData: (place: Place) => Place, placeNow: () => Place): void {
  const { canvas } = plane;
  const move = (place: Place) => {
    point = inside(toData(place));
    changed(false);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    move(plane.placeOf(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons > 0) move(plane.placeOf(event));
  });
  canvas.addEventListener("keydown", (event) => {
    if (!Object.hasOwn(ARROWS, event.key)) return;
    const [dx, dy] = ARROWS[event.key];
    const [x, y] = placeNow();
    move([x + dx, y + dy]);
    event.preventDefault();
  });
}

const backward = (z: Place): Place => {
  const [x, y] = flow.toData([...z]);
  return [x, y];
};
for (const plane of [data, grid, volume])
  watch(
    plane,
    (place) => place,
    () => point,
  );
watch(noise, backward, () => flow.at(point).z);

fill(
  at("example"),
  Object.keys(EXAMPLES).map((name) => [name, name]),
);
at<HTMLSelectElement>("example").value = "waves on waves";
at("example").addEventListener("change", () => {
  settings = [...EXAMPLES[at<HTMLSelectElement>("example").value]];
  showLayers();
  changed(true);
});
fill(
  at("kind"),
  Object.entries(KINDS).map(([name, { title }]) => [name, title]),
);
at("add").addEventListener("click", () => {
  settings.push(fresh(at<HTMLSelectElement>("kind").value as KindName));
  showLayers();
  changed(true);
});
new ResizeObserver(() => changed(false)).observe(at("data"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => changed(false));
at("reach").textContent = `−${REACH} to ${REACH}`;

showLayers();
changed(true);
