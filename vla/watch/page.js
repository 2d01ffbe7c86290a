/** In the browser: shows what the server tells of a run. Everything is put in as text. */

/** @import { LiveState } from "./live.ts" */

/** @param {string} id */
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * What stands for an episode on the page.
 * @typedef {{ card: HTMLElement, progress: HTMLProgressElement, steps: HTMLElement, cameras: HTMLImageElement[], shown: number }} Card
 */

/** @type {Map<number, Card>} */
const cards = new Map();

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Partial<HTMLElementTagNameMap[K]>} properties
 * @param {HTMLElement[]} children
 */
function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** @param {string} label */
function newCard(label) {
  const progress = element("progress", {});
  const steps = element("p", { className: "soft" });
  const cameras = [0, 1].map(() => element("img", { alt: "" }));
  const pictures = element("div", { className: "cameras" }, ...cameras);
  const card = element("article", {}, element("h3", { textContent: label }), pictures, progress, steps);
  at("playing").append(card);
  return { card, progress, steps, cameras, shown: 0 };
}

/** @param {LiveState} state */
function show({ title, done, planned, note, playing, table, isOver }) {
  document.title = `${done}/${planned} ${title}`;
  at("title").textContent = title;
  at("count").textContent = `${done} of ${planned} episodes${isOver ? ". The run is over." : ""}`;
  at("note").textContent = note;
  at("table").textContent = table;
  Object.assign(at("done"), { max: planned, value: done });
  for (const { id, label, steps, mostSteps, pictures } of playing) {
    const card = cards.get(id) ?? newCard(label);
    cards.set(id, card);
    Object.assign(card.progress, { max: mostSteps, value: steps });
    card.steps.textContent = `step ${steps} of at most ${mostSteps}`;
    if (card.shown === pictures) continue;
    card.shown = pictures;
    for (const [i, camera] of ["agentview", "eye_in_hand"].entries())
      card.cameras[i].src = `/picture/${id}/${camera}?${pictures}`;
  }
  const ids = new Set(playing.map(({ id }) => id));
  for (const [id, { card }] of cards)
    if (!ids.has(id)) {
      card.remove();
      cards.delete(id);
    }
}

const events = new EventSource("/events");
events.onmessage = ({ data }) => {
  const state = JSON.parse(data);
  show(state);
  if (state.isOver) events.close();
};
