// The files of a scene, from peers that have them into the store: whatever is missing, one stream
// a file, from one peer after another until each is here.

import Dispatch
import Foundation
import MeshCore
import MeshNode
import MeshSecurity
import MeshWire

/// Fetches a job's missing files.
@EventLoop
final class SceneFetch {
    private let store: FileStore
    private var missing: [FrameJob.File]
    private let sources: [PeerReference]
    private var attempt = 0
    private var stream: StreamConnection?
    private var watchdog: LoopTimer?
    private var lastProgress = EventLoop.now
    private let connect: @EventLoop (NodeAddress, NodeID) -> StreamConnection
    private var onFinished: (@EventLoop (String?) -> Void)?
    private(set) var bytesReceived = 0
    private let stallLimit: Duration

    /// - Parameter onFinished: called once, with the reason when it failed.
    init(
        job: FrameJob, store: FileStore, sources: [PeerReference],
        stallLimit: Duration = StreamBounds.stallLimit,
        connect: @escaping @EventLoop (NodeAddress, NodeID) -> StreamConnection,
        onFinished: @escaping @EventLoop (String?) -> Void
    ) {
        self.stallLimit = stallLimit
        self.store = store
        self.sources = sources
        self.connect = connect
        self.onFinished = onFinished
        var seen: Set<String> = []
        missing = job.files.filter { file in
            // Two names may stand for the same bytes.
            seen.insert(file.digest).inserted
                && Digest(hexadecimal: file.digest).map { !store.contains($0) } ?? false
        }
        watchdog = LoopTimer { [weak self] in self?.checkProgress() }
        watchdog?.start(after: stallLimit)
        EventLoop.nextTurn { [weak self] in self?.next() }
    }

    private func next() {
        guard onFinished != nil else { return }
        guard let file = missing.last, let digest = Digest(hexadecimal: file.digest) else {
            finish(nil)
            return
        }
        guard attempt < sources.count else {
            finish("no peer gave the file '\(file.name)'")
            return
        }
        fetch(file, digest, from: sources[attempt])
    }

    private func fetch(_ file: FrameJob.File, _ digest: Digest, from source: PeerReference) {
        let stream = connect(source.address, source.participant.node)
        self.stream = stream
        lastProgress = EventLoop.now
        stream.send(
            kind: StreamKind.opening, payload: StreamOpening.file(digest).encoded())
        var bytes: [UInt8] = []
        bytes.reserveCapacity(min(file.sizeBytes, 64 << 20))
        stream.onFrame = { [weak self] kind, payload in
            guard let self, self.stream === stream else { return }
            self.lastProgress = EventLoop.now
            guard kind == StreamKind.file, bytes.count + payload.count <= file.sizeBytes else {
                self.failed()
                return
            }
            bytes += payload
            self.bytesReceived += payload.count
            if payload.isEmpty || bytes.count == file.sizeBytes { self.arrived(bytes, digest) }
        }
        stream.onClose = { [weak self] _ in
            guard let self, self.stream === stream else { return }
            self.failed()
        }
    }

    /// Hashing and writing happen beside the loop.
    private func arrived(_ bytes: [UInt8], _ digest: Digest) {
        stream?.closeAfterFlush()
        stream = nil
        let store = self.store
        DispatchQueue.global(qos: .userInitiated).async {
            let result: Result<Void, FileStoreError>
            do throws(FileStoreError) {
                result = .success(try store.insert(bytes, as: digest))
            } catch {
                result = .failure(error)
            }
            EventLoop.submit { [weak self] in self?.stored(result) }
        }
    }

    private func stored(_ result: Result<Void, FileStoreError>) {
        guard onFinished != nil else { return }
        switch result {
        case .success:
            missing.removeLast()
            attempt = 0
            next()
        case .failure(.wrongHash):
            failed()
        case .failure(let error):
            // No other source helps against a full disk.
            finish("\(error)")
        }
    }

    private func failed() {
        stream?.abort()
        stream = nil
        attempt += 1
        next()
    }

    private func checkProgress() {
        guard let watchdog else { return }
        if stream != nil, EventLoop.now - lastProgress >= stallLimit { failed() }
        watchdog.start(after: stallLimit)
    }

    private func finish(_ failure: String?) {
        guard let onFinished else { return }
        abandon()
        onFinished(failure)
    }

    func abandon() {
        onFinished = nil
        watchdog?.close()
        watchdog = nil
        stream?.abort()
        stream = nil
    }

    /// Sends a file of the store to a peer that asked for it.
    static func answer(_ stream: StreamConnection, digest: Digest, from store: FileStore) {
        guard let handle = store.open(digest) else {
            stream.send(kind: StreamKind.absent, payload: [])
            stream.closeAfterFlush()
            return
        }
        sendPieces(of: handle, over: stream)
    }

    private static func sendPieces(of handle: FileHandle, over stream: StreamConnection) {
        stream.onDrained = { sendPieces(of: handle, over: stream) }
        while stream.isWritable {
            guard let piece = try? handle.read(upToCount: StreamBounds.filePieceBytes),
                !piece.isEmpty
            else {
                // An empty piece ends the file; an empty file is nothing else.
                stream.send(kind: StreamKind.file, payload: [])
                stream.closeAfterFlush()
                return
            }
            stream.send(kind: StreamKind.file, payload: [UInt8](piece))
        }
    }
}
