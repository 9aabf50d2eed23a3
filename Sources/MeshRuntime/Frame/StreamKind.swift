// The kinds of frames on a stream between two nodes, after the preamble (docs/WIRE.md).

/// What a frame's payload is. Zero is the preamble's, 13 and 14 are those of `SuccessionKind`.
enum StreamKind {
    /// What the stream is for: the first frame of whoever opened it.
    static let opening: UInt8 = 1
    /// A control message.
    static let message: UInt8 = 2
    /// What the sender has done for a frame so far, JSON, for its originator.
    static let contribution: UInt8 = 3
    /// A piece of a film's stream.
    static let film: UInt8 = 4
    /// A piece of a file.
    static let file: UInt8 = 5
    /// What was asked for is not here; ends the stream.
    static let absent: UInt8 = 6
    /// All of a film's or a file's stream has arrived and was understood.
    static let received: UInt8 = 7
    /// The round can't be finished: the participant that is the cause, as 16 bytes. Both ways on
    /// the stream of a contribution.
    static let failed: UInt8 = 8
    /// The sender is there, and waits for others. Both ways on the stream of a contribution.
    static let alive: UInt8 = 9
    /// The sum on this stream is committed: the new ledger. Ends the stream of a sum.
    static let release: UInt8 = 10
    /// The sender's keyring, as in its file; over control connections.
    static let keys: UInt8 = 11
    /// Why the sender takes no part in a frame, JSON, for its originator.
    static let refusal: UInt8 = 12
}

/// How long and how much the streams of a frame may take.
enum StreamBounds {
    /// Bytes of a film per frame on a stream: a node on the way passes on whole frames, so each
    /// costs as long as it takes to receive.
    static let pieceBytes = 64 << 10
    /// Bytes of a file per frame on a stream.
    static let filePieceBytes = 256 << 10
    /// What the system may hold of a film's stream on its way along a tree. Many such streams share
    /// a link: with as much as the system would take by itself they fill the queues of the
    /// network, and those that begin later take long to get their share (8 nodes at 1 Gbit/s:
    /// 0.45 s in place of 0.49 s). Enough for 1 Gbit/s at 4 ms in one stream; with a quarter of it
    /// senders are woken so often that rounds of 8 nodes take 8 % more processor time.
    static let treeBufferBytes: Int32 = 256 << 10
    /// Tiles of one child that wait for the others' before its stream pauses, and resumes.
    static let waitingTilesHigh = 256
    static let waitingTilesLow = 64
    /// Tiles merged or packed before the loop serves others.
    static let tilesPerTurn = 32
    /// A stream on which nothing moves for this long has failed.
    static let stallLimit = Duration.seconds(8)
    /// Sums of one frame on their way to this node at a time.
    static let receptionsMax = 4
    /// Bytes of a sum that wait for a connection, which another receiver may get.
    static let heldBytesMax = 1 << 20
    /// A sum may stand still while nodes above drop receivers, one after the other.
    static let sumStallsMax = 3
    /// Whole films of one frame, and files, on their way to others at a time.
    static let filmAnswersMax = 64
    static let fileAnswersMax = 512
    /// A connection must say within this time what it is for.
    static let openingLimit = Duration.seconds(10)
    /// One that has carried a stream, within this time: twice as long as its opener keeps it.
    static let nextOpeningLimit = Duration.seconds(30)
    /// Streams that came before the plan that explains them.
    static let earlyStreamsMax = 64
}
