// A text as a QR code (ISO/IEC 18004) for a terminal, so that a telephone carries a join code from
// one machine to another.

import CQREncode

/// A QR code of medium error correction.
struct QRCode {
    /// Modules a side.
    let width: Int
    /// Row by row, the top first; true is dark.
    private let modules: [Bool]

    /// Nil when the text is too long.
    init?(_ text: String) {
        guard let code = QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 1) else {
            return nil
        }
        defer { QRcode_free(code) }
        width = Int(code.pointee.width)
        let bytes = UnsafeBufferPointer(start: code.pointee.data, count: width * width)
        modules = bytes.map { $0 & 1 == 1 }
    }

    private func isDark(_ row: Int, _ column: Int) -> Bool {
        (0..<width).contains(row) && (0..<width).contains(column)
            && modules[row * width + column]
    }

    /// Two modules for each character, one above the other, with the quiet zone of four modules;
    /// light on dark or not, the colours are set.
    var lines: [String] {
        let quiet = 4
        return stride(from: -quiet, to: width + quiet, by: 2).map { row in
            let blocks = (-quiet..<width + quiet).map { column in
                switch (isDark(row, column), isDark(row + 1, column)) {
                case (false, false): " "
                case (true, false): "▀"
                case (false, true): "▄"
                case (true, true): "█"
                }
            }
            return "\u{1B}[30;107m" + blocks.joined() + "\u{1B}[0m"
        }
    }
}
