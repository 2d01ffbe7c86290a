import type { NdArray } from "ndarray";
import type { Image } from "../observation.ts";
import { CAMERAS, type Camera, type Episode } from "./demonstrations.ts";

/** An episode's pictures of both cameras, each (length, N, N, 3). */
type Pictures = Readonly<Record<Camera, NdArray<Uint8Array>>>;

/**
 * Pictures of episodes in no order: an episode is read whole when it is first asked for, and kept as long as all kept
 * ones fit into `memory` bytes. What comes after that is read picture by picture: an example then costs three times as
 * much.
 */
export class PictureStore {
  #memory: number;
  readonly #kept = new Map<Episode, Pictures>();

  constructor(memory: number) {
    this.#memory = memory;
  }

  /** One picture, (N, N, 3): a view of what is kept, or a copy of its own. */
  picture(episode: Episode, camera: Camera, step: number): Image {
    const kept = this.#kept.get(episode) ?? this.#keep(episode);
    return kept ? kept[camera].pick(step) : episode.pictures(camera, step, step + 1).pick(0);
  }

  #keep(episode: Episode): Pictures | null {
    const bytes = CAMERAS.reduce((sum, camera) => {
      const [H, W] = episode.pictureSize(camera);
      return sum + 3 * episode.length * H * W;
    }, 0);
    if (bytes > this.#memory) return null;
    this.#memory -= bytes;
    const read = (camera: Camera): NdArray<Uint8Array> => episode.pictures(camera, 0, episode.length);
    const pictures = { agentview: read("agentview"), wrist: read("wrist") };
    this.#kept.set(episode, pictures);
    return pictures;
  }
}
