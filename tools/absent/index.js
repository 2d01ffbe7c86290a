// Stands in for native packages that this project does not use: gl and webgpu of gpu.js, msgpackr-extract of bullmq.
throw new Error("absent-native: this native package is left out on purpose");
