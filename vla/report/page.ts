import { readFileSync } from "node:fs";
import { type Manifest, tasksOf } from "../eval/manifest.ts";
import type { Outcome, Trace } from "../eval/results.ts";
import { episodeKey } from "../eval/setup.ts";
import { partOf } from "../eval/shard.ts";
import { Tally } from "../eval/tally.ts";
import { rateOf } from "../eval/wilson.ts";
import { lineLane, rateBar, spanLane, stepLane } from "./charts.ts";
import { Html, html, preformatted } from "./html.ts";
import type { EpisodeMedia, Media, Moment } from "./media.ts";
import type { ReportedEpisode, RunFolder } from "./run-folder.ts";

/** Episodes with time lines and pictures; those behind them stand in a list. */
const MOST_DETAILED = 500;
/** The gripper of LIBERO's arm, wide open, metres. */
const OPEN = 0.08;
/** What is looked at first. */
const FIRST: readonly Outcome[] = ["error", "failure", "success"];
const STYLE = new Html(readFileSync(new URL("page.css", import.meta.url), "utf8"));

/**
 * A run as one page without anything outside of it but the pictures that `media` links: what was run, the table, how
 * each task went, then the episodes, errors and failures first. Its size is bounded by that of the pictures and by
 * `MOST_DETAILED`.
 */
export function reportPage({ manifest, episodes }: RunFolder, media: Pick<Media, "of">): string {
  const { run } = manifest;
  const tally = tallyOf(manifest, episodes);
  const successes = episodes.filter(({ outcome }) => outcome === "success").length;
  const scored = episodes.length - tally.errors;
  const sorted = FIRST.flatMap((which) => episodes.filter(({ outcome }) => outcome === which));
  const [detailed, rest] = [sorted.slice(0, MOST_DETAILED), sorted.slice(MOST_DETAILED)];
  const title = html`${run.policy} on ${run.suite}`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data: file: 'self'; style-src 'unsafe-inline'">
<title>${title}</title>
<style>
${STYLE}</style>
</head>
<body>
<main>
<header>
<h1>${title}</h1>
<p><strong>${successes} of ${scored}</strong> episodes succeeded: ${rateOf(successes, scored)} %, with its 95 % interval.</p>
${warnings(manifest, tally)}
${facts(manifest)}
</header>
<section>
<h2>Tasks</h2>
${bars(tally)}
</section>
<section>
<h2>Table</h2>
<pre>${preformatted(tally.report(run, true))}</pre>
</section>
<section>
<h2>Episodes</h2>
${detailed.map((episode) => card(episode, media.of(episode)))}
${rest.length > 0 ? list(rest) : ""}
</section>
</main>
</body>
</html>
`.text;
}

/** The table of a run, as far as it has come. */
function tallyOf(manifest: Manifest, episodes: readonly ReportedEpisode[]): Tally {
  const whole = tasksOf(manifest);
  const tasks = manifest.shard ? partOf(whole, manifest.shard) : whole;
  const tally = new Tally(tasks.reduce((sum, task) => sum + task.episodes.length, 0));
  const adders = new Map(
    tasks.map(({ task, instruction, perturb }) => [
      episodeKey({ task, perturb, init: 0 }),
      tally.open(task, instruction, perturb),
    ]),
  );
  for (const episode of episodes) adders.get(episodeKey({ ...episode, init: 0 }))!(episode);
  return tally;
}

/** What a reader must know before any number. */
function warnings({ run }: Manifest, tally: Tally): readonly Html[] {
  const spoilt = tally.tasks
    .flatMap((task) => task.episodes)
    .filter((episode) => episode.lostPremises).length;
  return [
    ...(tally.complete
      ? []
      : [
          html`<p class="warning">The run is not complete: ${tally.done} of ${tally.planned} episodes are there.</p>`,
        ]),
    ...(tally.errors > 0
      ? [html`<p class="warning">Episodes that ended in an error, and are in no rate: ${tally.errors}.</p>`]
      : []),
    ...(run.untrained
      ? [html`<p class="warning">The policy is untrained: its rate says nothing about the method.</p>`]
      : []),
    ...(spoilt > 0
      ? [
          html`<p class="warning">Starts that are not as their tasks say (premises lost, see below): ${spoilt}.</p>`,
        ]
      : []),
  ];
}

function facts({ version, run, maxSteps, policyDigest, shard }: Manifest): Html {
  const { node, mujoco, contacts } = run.engine;
  const all: readonly (readonly [name: string, value: string | number])[] = [
    ["suite", run.suite],
    ["policy", run.policy],
    ...(policyDigest !== null ? [["policy's digest", policyDigest.slice(0, 16)] as const] : []),
    ["protocol", `${run.protocol}, at most ${maxSteps} steps`],
    ["seed", run.seed],
    ["engine", `MuJoCo ${mujoco}, contacts ${contacts}`],
    ["software", `nina-ts ${version}, Node ${node}`],
    ["pictures", `${run.cameraSize} x ${run.cameraSize}`],
    ...(run.perturb !== undefined ? [["made harder", run.perturb] as const] : []),
    ...(run.robustness !== undefined ? [["made harder in turn", run.robustness] as const] : []),
    ...(run.swapWords ? [["words", "of other tasks of the scene"] as const] : []),
    ...(shard ? [["part", `${shard.index} of 0 to ${shard.of - 1}`] as const] : []),
  ];
  return html`<dl>${all.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** A bar for each task: its rate, and how certain that is. */
function bars({ tasks }: Tally): Html {
  const rows = tasks.map(({ task, perturb, episodes }) => {
    const scored = episodes.filter(({ outcome }) => outcome !== "error");
    const successes = scored.filter(({ outcome }) => outcome === "success").length;
    return html`<span class="name">${nameOf({ task, perturb })}</span>${rateBar(successes, scored.length)}
<span class="number">${successes} of ${scored.length}</span>`;
  });
  return html`<div class="tasks">${rows}</div>`;
}

/** An episode in full. */
function card(episode: ReportedEpisode, { moments, video }: EpisodeMedia): Html {
  const { init, outcome, steps, policyCalls, instruction } = episode;
  return html`<article id="${idOf(episode)}">
<h3><span class="outcome ${outcome}">${outcome}</span> ${nameOf(episode)}, start ${init}</h3>
<p class="soft">“${instruction}” · ${steps} steps · ${policyCalls} chunks</p>
${remarks(episode)}
${moments.length === 0 && !video ? HOW_TO_SEE : sheet(moments)}
${video ? html`<details><summary>video</summary><img class="video" src="${video}" alt="" loading="lazy"></details>` : ""}
${lanes(episode)}
</article>`;
}

function remarks({ error, retried, lostPremises, swapped }: ReportedEpisode): readonly Html[] {
  return [
    ...(error !== undefined ? [html`<p class="warning">${error}</p>`] : []),
    ...(retried !== undefined ? [html`<p class="warning">Played twice, after: ${retried}</p>`] : []),
    ...(lostPremises ? [html`<p class="warning">Premises lost: ${lostPremises.join(", ")}</p>`] : []),
    ...(swapped ? [html`<p class="soft">With the words of ${swapped.told}.</p>`] : []),
  ];
}

const HOW_TO_SEE = html`<p class="soft">No pictures were kept: a run with --video keeps them.</p>`;

/** What both cameras saw at some steps. */
function sheet(moments: readonly Moment[]): Html {
  const figures = moments.map(({ step, sources }) => {
    const pictures = sources.map((source) => html`<img src="${source}" alt="" loading="lazy">`);
    return html`<figure>${pictures}<figcaption>step ${step}</figcaption></figure>`;
  });
  return html`<div class="sheet">${figures}</div>`;
}

/** Time lines of an episode, one under the other, from its first step to its last. */
function lanes({ logProbs, trace, steps }: ReportedEpisode): Html {
  const all = [...likelihood(logProbs ?? []), ...(trace ? happened(trace, steps) : [])];
  if (all.length === 0 || steps === 0) return html``;
  return html`<div class="lanes">${all}
<span></span><span class="axis"><span>step 1</span><span>${steps}</span></span></div>`;
}

/** Chunks are as long as each other, the last one apart. */
function likelihood(logProbs: readonly number[]): readonly Html[] {
  if (logProbs.length === 0) return [];
  const [low, high] = [Math.min, Math.max].map((end) => logProbs.reduce((a, b) => end(a, b)));
  const range = `${low.toFixed(1)} to ${high.toFixed(1)} nats`;
  return [html`<span>likelihood of each chunk, ${range}</span>${stepLane(logProbs, low, high)}`];
}

function happened({ gripper, goal }: Trace, steps: number): readonly Html[] {
  return [
    html`<span>gripper, shut to open</span>${lineLane(gripper, 0, OPEN)}`,
    ...goal.map(
      ({ term, held }) => html`<span>${term}</span><span class="held-lane">${spanLane(held, steps)}</span>`,
    ),
  ];
}

/** Those that are only named. */
function list(episodes: readonly ReportedEpisode[]): Html {
  const rows = episodes.map(
    (episode) =>
      html`<tr><td>${episode.outcome}</td><td>${nameOf(episode)}</td><td>${episode.init}</td><td>${episode.steps}</td></tr>`,
  );
  return html`<details><summary>${episodes.length} more, without pictures and time lines</summary>
<table><tr><th>outcome</th><th>task</th><th>start</th><th>steps</th></tr>${rows}</table></details>`;
}

const nameOf = ({ task, perturb }: { readonly task: string; readonly perturb?: string }): string =>
  `${task.replaceAll("_", " ")}${perturb === undefined ? "" : ` (${perturb})`}`;

/** For links to one episode. */
const idOf = ({ task, perturb, init }: ReportedEpisode): string =>
  [task, ...(perturb === undefined ? [] : [perturb]), init].join("/");
