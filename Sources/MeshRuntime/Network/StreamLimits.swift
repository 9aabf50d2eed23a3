// The bounds of one stream, what has gone through it, and why it ended.

public import MeshSecurity

/// Whether others can read a stream, and who may be at its other end.
public enum StreamSecurity: Sendable {
    /// As it is: for sockets that only this machine's users reach.
    case plain
    /// TLS between those who have an accepted key of the keyring; with a key of its own this end
    /// proves to be that node.
    case sealed(Keyring, as: NodeKey? = nil)
    /// The same; who connects proves to have this one of the accepted keys.
    case offering(KeyID, Keyring, as: NodeKey? = nil)
}

/// The bounds of a stream's memory and patience.
public struct StreamLimits: Hashable, Sendable {
    /// The largest payload of a frame, bytes, in both directions.
    public var payloadBytesMax = 8 << 20
    /// Above this many queued bytes a producer should stop and wait for `onDrained`.
    public var queuedBytesHigh = 4 << 20
    /// `onDrained` comes when the queue has fallen to this many bytes.
    public var queuedBytesLow = 1 << 20
    /// A queue that would grow beyond this closes the stream: its producer does not listen.
    public var queuedBytesMax = 64 << 20
    /// From the start of a connection until the peer's machine has answered.
    public var connectTimeout = Duration.seconds(5)
    /// From there until both ends have proven themselves and the peer's preamble has arrived.
    public var preambleTimeout = Duration.seconds(5)
    /// A stream on which nothing moves either way for this long is closed; nil for never.
    public var idleTimeout: Duration?
    /// While closing: how long the queue may stand still, and the peer may take to close.
    public var lingerTimeout = Duration.seconds(3)
    /// When TCP begins to ask a silent peer's machine whether it is still there.
    public var keepAliveDelay = Duration.seconds(15)

    public init() {}
}

/// What has gone through a stream.
public struct StreamCounters: Hashable, Sendable {
    /// Given to the system, with all that frames and TLS add.
    public var bytesSent = 0
    public var bytesReceived = 0
    /// Queued for sending, the preamble not counted.
    public var framesSent = 0
    public var framesReceived = 0
}

/// Why a stream ended.
public enum StreamCloseReason: Error, Hashable, Sendable, CustomStringConvertible {
    /// This side closed it.
    case closedHere
    /// The peer closed it.
    case closedByPeer
    /// The peer closed it before both ends had proven themselves, and did not say why.
    case closedInHandshake
    /// It never came about.
    case connectFailed(NetworkError)
    /// The network or the peer's machine broke it.
    case failed(NetworkError)
    case connectTimedOut
    case preambleTimedOut
    case idle
    /// The peer sent what is no frame.
    case garbage(FrameError)
    /// The peer is meshd, but not one that this node can talk to.
    case incompatible(StreamPreamble.Mismatch)
    /// One end is not of the other's mesh, or somebody in between has changed bytes.
    case untrusted(TLSError)
    /// The producer ignored `isWritable` until `queuedBytesMax`.
    case queueFull

    public var description: String {
        switch self {
        case .closedHere: "closed here"
        case .closedByPeer: "closed by the peer"
        case .closedInHandshake:
            "the peer closed it in the TLS handshake without a word: it is no meshd, or it has too "
                + "many connections"
        case .connectFailed(let error), .failed(let error): "\(error)"
        case .connectTimedOut: "no answer to the connection attempt"
        case .preambleTimedOut: "the peer did not introduce itself"
        case .idle: "nothing moved for too long"
        case .garbage(let error): "the peer sent \(error)"
        case .incompatible(let mismatch): "\(mismatch)"
        case .untrusted(let error): "the peer is not trusted: \(error)"
        case .queueFull: "the peer takes less than is sent to it"
        }
    }
}
