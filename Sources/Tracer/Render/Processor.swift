// What the tracer needs of the processor it runs on.

import CEmbree
import CTracerSIMD

/// The machine's processor, as far as the tracer cares.
public enum Processor {
    /// Whether it has the instructions that this program is compiled for. To be asked before
    /// anything is rendered: without them a process ends at the first one.
    public static var isSupported: Bool { meshd_processor_has_avx2() != 0 }

    /// A hash of what this processor's approximate reciprocals and reciprocal square roots give: the
    /// bits of a film depend on them.
    public static var approximationFingerprint: UInt64 { meshd_approximation_fingerprint() }

    /// The version of the Embree that this process runs with, 10,000 × major + 100 × minor + patch;
    /// zero if it does not start. Which triangle a ray hits may depend on it.
    public static let rayLibraryVersion: Int = {
        guard let device = rtcNewDevice("threads=1") else { return 0 }
        defer { rtcReleaseDevice(device) }
        return rtcGetDeviceProperty(device, RTC_DEVICE_PROPERTY_VERSION)
    }()
}
