/**
 * Whose pictures to match. LIBERO's demonstrations were drawn by MuJoCo 2.3; later versions changed three rules:
 *
 * | rule | mujoco-2.3 | mujoco-3.14 |
 * |---|---|---|
 * | 2D textures whose file says sRGB | bytes as stored | decoded to linear when sampled (since 3.3.3), hence darker |
 * | mesh with its own texture coordinates | used as they are | times `texrepeat` (since 3.12) |
 * | other shapes with a 2D texture | projected along z | coordinates per shape (since 3.12) |
 */
export type Compat = "mujoco-2.3" | "mujoco-3.14";
