// Every door through which bytes come in from outside, each as one function that takes any bytes.
// `make fuzz` feeds them with what libFuzzer makes up, `make test` with the corpora. To add one:
// a case here with its function, and a folder of its name with seeds in Tests/FuzzCorpora.

/// A parser, or a state machine behind one, that must bear any bytes: it may refuse them with its
/// typed error, and nothing else may happen.
enum FuzzTarget: String, CaseIterable, Sendable {
    // Between nodes.
    case gossip
    case announcement
    case message
    case opening
    case frames
    case film
    case node
    // Scenes.
    case gltf
    case glb
    case scene
    case png
    case jpeg
    case hdr
    case exr
    // Around them.
    case discovery
    case job
    case control
    case schedule
    case text
    // Who is a member.
    case packet
    case sealed
    case keyring
    case code
    case handshake
    case records

    /// Takes the bytes in as the program would.
    /// - Returns: whether they were understood.
    @discardableResult
    func run(_ bytes: [UInt8]) -> Bool {
        switch self {
        case .gossip: Self.gossip(bytes)
        case .announcement: Self.announcement(bytes)
        case .message: Self.message(bytes)
        case .opening: Self.opening(bytes)
        case .frames: Self.frames(bytes)
        case .film: Self.film(bytes)
        case .node: Self.node(bytes)
        case .gltf: Self.gltf(bytes)
        case .glb: Self.glb(bytes)
        case .scene: Self.scene(bytes)
        case .png, .jpeg: Self.texture(bytes)
        case .hdr, .exr: Self.environment(bytes)
        case .discovery: Self.discovery(bytes)
        case .job: Self.job(bytes)
        case .control: Self.control(bytes)
        case .schedule: Self.schedule(bytes)
        case .text: Self.text(bytes)
        case .packet: Self.packet(bytes)
        case .sealed: Self.sealed(bytes)
        case .keyring: Self.keyring(bytes)
        case .code: Self.code(bytes)
        case .handshake: Self.handshake(bytes)
        case .records: Self.records(bytes)
        }
    }

    /// The longest input that is worth trying, bytes.
    var bytesMax: Int {
        switch self {
        case .gossip: 1_400
        case .announcement: 600
        case .code: 1_100
        case .node: 16_384
        case .frames, .film, .glb, .scene, .gltf: 8_192
        default: 4_096
        }
    }

    /// Whether its bytes are JSON, which is changed token by token.
    var isJSON: Bool {
        switch self {
        case .gltf, .scene, .job, .control, .schedule: true
        default: false
        }
    }

    /// What a parser makes of its own output must be what was written.
    static func require(_ condition: Bool, _ what: StaticString) {
        precondition(condition, "\(what)")
    }
}
