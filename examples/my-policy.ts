/**
 * A policy of your own: `npx tsx vla/eval.ts --policy ./examples/my-policy.ts --tasks 8 --episodes 2`
 *
 * It pushes the drawer of the embedded suite shut without looking: its hand goes from point to point.
 */
import type { Policy, PolicySource } from "nina-ts/vla";

/** Before the drawer and above it, before it, through it: metres in the world's frame. */
const WAY = [
  [0, 0.1, 1.05],
  [0, 0.1, 0.96],
  [0, -0.2, 0.96],
];

/** Called once for a run: a policy with weights would load them here. */
export default function myPolicy(): PolicySource {
  return { name: "my policy", untrained: false, cameraSize: null, hasDensity: false, forEpisode: pusher };
}

/** The policy of one episode. */
function pusher(): Policy {
  let next = 0;
  return {
    name: "my policy",
    reset() {},
    act({ robot0_eef_pos: hand }) {
      const error = WAY[next].map((goal, axis) => goal - hand[axis]);
      if (Math.hypot(...error) < 0.02 && next < WAY.length - 1) next++;
      const motion = error.map((metres) => Math.max(-1, Math.min(1, 4 * metres)));
      const action = [...motion, 0, 0, 0, 1]; // no rotation, fingers shut
      return { actions: Array(5).fill(action) };
    },
  };
}
