// Stands in for gpu.js's native packages (gl, webgpu), which this project does not use.
throw new Error("absent-native: this native package is left out on purpose");
