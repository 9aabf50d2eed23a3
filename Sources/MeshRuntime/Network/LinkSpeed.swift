// What a node's link moves, from the streams that it sends.

import CLibuv

/// The rate of the best of the last measurements: any one may have been held up by its receiver,
/// by other streams on the link, or by the slowest link of a tree.
struct LinkSpeed {
    private var rates: [Double] = []
    private var next = 0

    private static let kept = 64

    /// Adds a measurement, bytes per second.
    mutating func add(_ rate: Double) {
        if rates.count < Self.kept {
            rates.append(rate)
        } else {
            rates[next] = rate
            next = (next + 1) % Self.kept
        }
    }

    /// Zero as long as nothing was measured.
    var bytesPerSecond: Double { rates.max() ?? 0 }
}

extension StreamConnection {
    /// Smaller writes say nothing of the network.
    private static let ratedBytesMin = 32 << 10

    /// Asks the system how fast the network takes what is sent, after a write of so many bytes.
    func measureDelivery(written byteCount: Int) {
        var descriptor: uv_os_fd_t = -1
        guard byteCount >= Self.ratedBytesMin, let onDeliveryRate, let handle,
            uv_fileno(handle.base, &descriptor) == 0
        else { return }
        let rate = meshd_delivery_rate(descriptor)
        if rate > 0 { onDeliveryRate(rate) }
    }
}
