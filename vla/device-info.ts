import { type Device, GpuDevice, isSoftware } from "../core/index.ts";

/** What results say of the device that computed them. */
export interface DeviceInfo {
  /** "cpu", "gpu:webasm" */
  readonly name: string;
  /** What drives a GPU, and whether that is the processor in its place. */
  readonly driver?: string;
  readonly software?: boolean;
}

export function deviceInfo(device: Device): DeviceInfo {
  const { name } = device;
  if (!(device instanceof GpuDevice)) return { name };
  return { name, driver: device.driver, software: isSoftware(device.driver) };
}
