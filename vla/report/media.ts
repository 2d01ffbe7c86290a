import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { readWhole } from "../../core/index.ts";
import { type EpisodeId, episodePath } from "../eval/setup.ts";
import { picturesOf } from "../webp/animation.ts";
import { Html, html } from "./html.ts";

/** Moments of an episode on its contact sheet. */
const MOMENTS = 8;
/** A file that is larger is linked, whatever room is left, bytes. */
const LARGEST = 4 * 2 ** 20;
const PNG = "\x89PNG\r\n\x1a\n";

/** What there is to see of an episode. */
export interface EpisodeMedia {
  /** From its first step to its last; empty where no pictures were kept. */
  readonly moments: readonly Moment[];
  /** The address of its video. */
  readonly video: Html | null;
}

/** What both cameras saw at a step, as the addresses of one picture or two. */
export interface Moment {
  readonly step: number;
  readonly sources: readonly Html[];
}

/**
 * Finds the pictures of a run's episodes in its folder. They become part of the page, so that it can be sent around,
 * until `room` bytes are used up; all others are linked, by where they are as seen from the page.
 */
export class Media {
  readonly #folder: string;
  readonly #page: string;
  #room: number;

  /** @param page where the page is going to be. */
  constructor(folder: string, page: string, room: number) {
    [this.#folder, this.#page, this.#room] = [folder, page, room];
  }

  of(id: EpisodeId): EpisodeMedia {
    const path = episodePath(id);
    const video = this.#find("videos", `${path}.webp`);
    const frames = this.#find("frames", path);
    const moments =
      (video === null ? null : this.#momentsOfVideo(video)) ??
      (frames === null ? [] : this.#momentsOfFrames(frames));
    return { moments, video: video === null ? null : this.#sourceOf(video, "image/webp", "RIFF") };
  }

  /** Null where it is not as `--video` writes it, or where there is no room. */
  #momentsOfVideo(path: string): Moment[] | null {
    if (sizeOf(path) > LARGEST) return null;
    const pictures = picturesOf(readWhole(path, LARGEST));
    const chosen = evenly([...(pictures ?? []).entries()], MOMENTS);
    const size = chosen.reduce((sum, [, { length }]) => sum + length, 0);
    if (chosen.length === 0 || size > this.#room) return null;
    this.#room -= size;
    return chosen.map(([step, picture]) => ({ step, sources: [embedded("image/webp", picture)] }));
  }

  #momentsOfFrames(folder: string): Moment[] {
    const steps = readdirSync(folder)
      .flatMap((name) => /^agentview_(\d{4,9})\.png$/.exec(name)?.[1] ?? [])
      .sort((a, b) => Number(a) - Number(b));
    return evenly(steps, MOMENTS).map((step) => ({
      step: Number(step),
      sources: ["agentview", "eye_in_hand"]
        .map((camera) => join(folder, `${camera}_${step}.png`))
        .flatMap((path) => this.#sourceOf(path, "image/png", PNG) ?? []),
    }));
  }

  /** A file or folder of the run, null where it is not there. Names of tasks are not trusted to stay in the folder. */
  #find(kind: string, path: string): string | null {
    const parent = join(this.#folder, kind);
    const found = join(parent, path);
    const isInside =
      found.startsWith(parent + sep) && !path.split(sep).includes("..") && !path.includes("\0");
    return isInside && existsSync(found) ? found : null;
  }

  /** The address of a file that begins as it should, null otherwise. */
  #sourceOf(path: string, type: string, magic: string): Html | null {
    const size = sizeOf(path);
    if (size > Math.min(LARGEST, this.#room)) return this.#linkTo(path);
    if (size < magic.length) return null;
    const bytes = readWhole(path, LARGEST);
    if (Buffer.from(bytes.buffer, 0, magic.length).toString("latin1") !== magic) return null;
    this.#room -= size;
    return embedded(type, bytes);
  }

  #linkTo(path: string): Html {
    const way = relative(dirname(this.#page), path).split(sep);
    return html`${way.map(encodeURIComponent).join("/")}`;
  }
}

/** 0 for what is not there. */
const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

const embedded = (type: string, bytes: Uint8Array): Html =>
  new Html(`data:${type};base64,${Buffer.from(bytes).toString("base64")}`);

/** At most `count` of some things, the first and the last among them. */
function evenly<T>(all: readonly T[], count: number): T[] {
  const n = Math.min(all.length, count);
  return Array.from({ length: n }, (_, i) => all[Math.round((i * (all.length - 1)) / Math.max(1, n - 1))]);
}
