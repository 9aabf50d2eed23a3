// Small encoded images for the decoders' tests, base64.

import Foundation

enum ImageFixtures {
    static func bytes(_ base64: String) -> [UInt8] {
        Array(Data(base64Encoded: base64) ?? Data())
    }

    /// PNG: 2 × 1, 8-bit RGBA: (255, 0, 0, 255), (1, 2, 3, 4).
    static let rgba = bytes(
        "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAYAAAD0In+KAAAAEUlEQVR42mP4z8Dwn5GJmQUADRACCVfwa0MA"
            + "AAAASUVORK5CYII=")

    /// PNG: 2 × 1, palette with transparency: entries 1 and 0.
    static let palette = bytes(
        "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAMAAADD/I+4AAAABlBMVEUJCAceFAr3DCtOAAAAAXRSTlOArV5b"
            + "RgAAAAtJREFUeNpjYGQAAAAFAAJCwkSfAAAAAElFTkSuQmCC")

    /// PNG: 2 × 1, 16-bit grey: 0xffff, 0x8000.
    static let grey16 = bytes(
        "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABEAAAAACB2fwVAAAADUlEQVR42mP4/7+BAQAH/gJ/rYOSJQAAAABJ"
            + "RU5ErkJggg==")

    /// PNG: Declares 60,000 × 60,000 pixels.
    static let huge = bytes(
        "iVBORw0KGgoAAAANSUhEUgAA6mAAAOpgCAYAAACA0nVCAAAACUlEQVR42mMAAAABAAGxDbaTAAAAAElFTkSu"
            + "QmCC")

    /// PNG: Declares 16,000 × 16,000 pixels and has none.
    static let bomb = bytes(
        "iVBORw0KGgoAAAANSUhEUgAAPoAAAD6ACAYAAABBft/eAAAACUlEQVR42mMAAAABAAGxDbaTAAAAAElFTkSu"
            + "QmCC")

    /// JPEG: 16 × 8; the left half has red 250, the right 10; green 40, blue 200.
    static let jpeg = bytes(
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQ"
            + "DQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQU"
            + "FBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/wAARCAAIABADAREAAhEBAxEB/8QAHwAAAQUBAQEB"
            + "AQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKB"
            + "kaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1"
            + "dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl"
            + "5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcF"
            + "BAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5"
            + "OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0"
            + "tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDMr94P71Pj"
            + "+v2s/wAvz//Z")

    /// OpenEXR: 5 × 3, tiles of 4 × 2, ZIP; R = i and G = i / 2 half, B = 100 - i / 4 float.
    static let tiled = bytes(
        "di8xAQICAABjaGFubmVscwBjaGxpc3QANwAAAEIAAgAAAAAAAAABAAAAAQAAAEcAAQAAAAAAAAABAAAAAQAA"
            + "AFIAAQAAAAAAAAABAAAAAQAAAABjb21wcmVzc2lvbgBjb21wcmVzc2lvbgABAAAAA2RhdGFXaW5kb3cAYm94"
            + "MmkAEAAAAAAAAAAAAAAABAAAAAIAAABkaXNwbGF5V2luZG93AGJveDJpABAAAAAAAAAAAAAAAAQAAAACAAAA"
            + "bGluZU9yZGVyAGxpbmVPcmRlcgABAAAAAHBpeGVsQXNwZWN0UmF0aW8AZmxvYXQABAAAAAAAgD9zY3JlZW5X"
            + "aW5kb3dDZW50ZXIAdjJmAAgAAAAAAAAAAAAAAHNjcmVlbldpbmRvd1dpZHRoAGZsb2F0AAQAAAAAAIA/dGls"
            + "ZXMAdGlsZWRlc2MACQAAAAQAAAACAAAAAAB1AQAAAAAAALoBAAAAAAAA3gEAAAAAAAARAgAAAAAAAAAAAAAA"
            + "AAAAAAAAAAAAAAAxAAAAeF5j8NjhvtN9p9uuBihw3e2622WPyx4Y/9A+JzsQ3tHS5LSnpQnKO1TfCAEA9j8f"
            + "yQEAAAAAAAAAAAAAAAAAAAAQAAAAAADGQgBAAEQAgMNCgESASAAAAAABAAAAAAAAAAAAAAAfAAAAeF5jcN7r"
            + "tM9pn+N+Big4tM/JDoibGxobQBgArWwLywEAAAABAAAAAAAAAAAAAAAIAAAAAADBQgBHAEs=")

    /// OpenEXR: 3 × 19 from (-1, 2), PIZ; Y = i half, but infinite at 5 and -3 at 6.
    static let grey = bytes(
        "di8xAQIAAABjaGFubmVscwBjaGxpc3QAEwAAAFkAAQAAAAAAAAABAAAAAQAAAABjb21wcmVzc2lvbgBjb21w"
            + "cmVzc2lvbgABAAAABGRhdGFXaW5kb3cAYm94MmkAEAAAAP////8CAAAAAQAAABQAAABkaXNwbGF5V2luZG93"
            + "AGJveDJpABAAAAD/////AgAAAAEAAAAUAAAAbGluZU9yZGVyAGxpbmVPcmRlcgABAAAAAHBpeGVsQXNwZWN0"
            + "UmF0aW8AZmxvYXQABAAAAAAAgD9zY3JlZW5XaW5kb3dDZW50ZXIAdjJmAAgAAAAAAAAAAAAAAHNjcmVlbldp"
            + "bmRvd1dpZHRoAGZsb2F0AAQAAAAAAIA/AB0BAAAAAAAAAgAAAHIAAAAAAAA8AEAAQgBEAHwAwgBHAEiASABJ"
            + "gEkASoBKAEuASwBMQEyATMBMAE1ATYBNwE0ATkBOgE7ATgBPQE+AT8BPAFAgUEBQYFCAUKBQwFDgUABRIFFA"
            + "UWBRgFGgUcBR4FEAUiBSQFJgUoBSoFLAUuBSAFM=")
}
