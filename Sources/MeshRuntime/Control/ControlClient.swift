// The command line's side of the control socket.

import Foundation
import Glibc
public import MeshCore
import MeshSecurity
import Tracer

/// Why a daemon could not be asked.
public enum ControlError: Error, Sendable, CustomStringConvertible {
    /// No daemon listens on the socket.
    case noDaemon(socket: String)
    /// The socket is another user's.
    case forbidden(socket: String)
    /// A process has the socket and says nothing.
    case silent(socket: String)
    /// The daemon speaks another version of the protocol.
    case incompatible(String)
    /// It does not do what was asked.
    case refused(String)
    /// It ended the conversation.
    case broken(String)

    public var description: String {
        switch self {
        case .noDaemon(let socket):
            "no meshd daemon answers at '\(socket)'; start one with 'meshd up'"
        case .forbidden(let socket):
            "the daemon's socket '\(socket)' belongs to another user; "
                + "run as that user, or name a folder of your own with --state"
        case .silent(let socket):
            "the daemon at '\(socket)' does not answer: it is stopped or has too much to do"
        case .incompatible(let reason):
            "the daemon of this machine cannot be talked to: \(reason); restart it"
        case .refused(let reason): reason
        case .broken(let reason): "the daemon ended the conversation: \(reason)"
        }
    }
}

/// Asks the daemon of this machine.
@EventLoop
public final class ControlClient {
    private let stream: StreamConnection
    private var onReply: (@EventLoop (ControlReply) -> Void)?
    private var onFilm: (@EventLoop ([UInt8]) -> Void)?
    private var onBroken: (@EventLoop (ControlError) -> Void)?
    private var isDone = false
    /// A failure that the daemon told while no answer was waited for.
    private var failure: String?

    private init(_ stream: StreamConnection) { self.stream = stream }

    /// Connects to the daemon whose state folder this is.
    /// - Throws: ``ControlError``, but for `broken`.
    public static func connect(state: String) async throws -> ControlClient {
        let path = StateFolder.controlSocket(inState: state)
        guard access(path, F_OK) == 0 else {
            throw errno == EACCES
                ? ControlError.forbidden(socket: path) : .noDaemon(socket: path)
        }
        let stream = StreamConnection.connect(
            toSocketFile: path, preamble: MeshProtocol.controlPreamble)
        let client = ControlClient(stream)
        try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<Void, any Error>) in
            stream.onReady = { _ in
                stream.onClose = { reason in client.closed(reason) }
                continuation.resume()
            }
            stream.onClose = { reason in
                continuation.resume(throwing: Self.absence(of: path, reason))
            }
        }
        stream.onFrame = { kind, payload in client.received(kind, payload) }
        return client
    }

    /// Why a connection did not come about.
    private static func absence(of path: String, _ reason: StreamCloseReason) -> ControlError {
        switch reason {
        case .incompatible: .incompatible("\(reason)")
        case .preambleTimedOut, .connectTimedOut: .silent(socket: path)
        case .connectFailed(let error) where error.isForbidden: .forbidden(socket: path)
        default: .noDaemon(socket: path)
        }
    }

    private func closed(_ reason: StreamCloseReason) {
        if !isDone { onBroken?(broken(reason)) }
        isDone = true
        onReply = nil
        onFilm = nil
        onBroken = nil
    }

    private func broken(_ reason: StreamCloseReason) -> ControlError {
        .broken(failure ?? "\(reason)")
    }

    private func received(_ kind: UInt8, _ payload: [UInt8]) {
        if kind == ControlKind.film {
            onFilm?(payload)
        } else if kind == ControlKind.reply {
            guard let reply = try? JSONDecoder().decode(ControlReply.self, from: Data(payload))
            else { return stream.abort() }
            if case .failed(let reason) = reply { failure = reason }
            onReply?(reply)
        }
    }

    /// - Parameter then: called with the answer, before anything that follows it is read.
    private func ask(
        _ request: ControlRequest, then: @escaping @EventLoop (ControlReply) -> Void = { _ in }
    ) async throws -> ControlReply {
        guard stream.isOpen else { throw broken(.closedByPeer) }
        return try await withCheckedThrowingContinuation { continuation in
            onReply = { reply in
                self.onReply = nil
                self.onBroken = nil
                then(reply)
                continuation.resume(returning: reply)
            }
            onBroken = { error in
                self.onReply = nil
                self.onBroken = nil
                continuation.resume(throwing: error)
            }
            stream.send(kind: ControlKind.request, request)
        }
    }

    public func nodes() async throws -> [NodeReport] {
        guard case .nodes(let nodes) = try await ask(.nodes) else { throw unexpected }
        return nodes
    }

    /// Has the daemon take over the keys that are on disk now.
    /// - Returns: what it says to that.
    public func rejoin() async throws -> String { try await say(.rejoin) }

    /// Has the mesh get another key.
    public func rotateKey() async throws -> String { try await say(.rotateKey) }

    /// Has the mesh accept its present key only.
    /// - Parameter force: whether also when some nodes may not have it.
    public func revokeOldKeys(force: Bool) async throws -> String {
        try await say(.revokeOldKeys(force: force))
    }

    private func say(_ request: ControlRequest) async throws -> String {
        switch try await ask(request) {
        case .notice(let line): return line
        case .failed(let reason): throw ControlError.refused(reason)
        default: throw unexpected
        }
    }

    public func status() async throws -> DaemonStatus {
        guard case .status(let status) = try await ask(.status) else { throw unexpected }
        return status
    }

    public func devices() async throws -> [DeviceInfo] {
        guard case .devices(let devices) = try await ask(.devices) else { throw unexpected }
        return devices
    }

    public func frames() async throws -> [FrameReport] {
        guard case .frames(let frames) = try await ask(.frames) else { throw unexpected }
        return frames
    }

    /// Follows a frame that the daemon knows, whoever asked for it, to its end.
    /// - Parameter name: what the frame's id begins with.
    /// - Returns: the frame's job, and what is to be heard of it.
    public func fetch(
        _ name: String
    ) async throws -> (job: FrameJob, updates: AsyncStream<RenderUpdate>) {
        var updates: AsyncStream<RenderUpdate>?
        // The film may follow at once, before this task goes on: it listens from the reply on.
        let reply = try await ask(.fetch(name)) { reply in
            guard case .following(let job) = reply else { return }
            updates = job.settings.workSpace.map { self.listen($0) }
        }
        if case .failed(let reason) = reply { throw ControlError.refused(reason) }
        guard case .following(let job) = reply, let updates else { throw unexpected }
        return (job, updates)
    }

    private var unexpected: ControlError { .broken("an answer to another question") }

    public func close() {
        isDone = true
        stream.closeAfterFlush()
    }

    /// Hands a frame to the daemon, with the files it lacks.
    /// - Returns: what is to be heard of the frame, as for a frame of this process.
    public func render(
        _ job: FrameJob, file: (Digest) -> [UInt8]?
    ) async throws -> AsyncStream<RenderUpdate> {
        let missing: [String]
        switch try await ask(.submit(job)) {
        case .missing(let digests): missing = digests
        case .failed(let reason): throw ControlError.refused(reason)
        default: throw unexpected
        }
        for name in missing {
            guard let digest = Digest(hexadecimal: name), let bytes = file(digest) else {
                throw ControlError.broken("it asks for a file that is not the scene's")
            }
            await send(bytes, digest)
        }
        guard stream.isOpen else { throw broken(.closedByPeer) }
        guard let workSpace = job.settings.workSpace else { throw unexpected }
        let updates = listen(workSpace)
        stream.send(kind: ControlKind.request, ControlRequest.filesSent)
        return updates
    }

    /// Ends the frame early; `finished` follows.
    public func cancel() { stream.send(kind: ControlKind.request, ControlRequest.cancel) }

    private func send(_ bytes: [UInt8], _ digest: Digest) async {
        stream.send(kind: ControlKind.file, payload: digest.bytes)
        for start in stride(from: 0, to: bytes.count, by: StreamBounds.filePieceBytes) {
            if !stream.isWritable {
                await withCheckedContinuation { continuation in
                    let closed = stream.onClose
                    stream.onDrained = {
                        self.stream.onDrained = nil
                        self.stream.onClose = closed
                        continuation.resume()
                    }
                    stream.onClose = { reason in
                        closed?(reason)
                        continuation.resume()
                    }
                    if !stream.isOpen {
                        stream.onDrained = nil
                        stream.onClose = closed
                        continuation.resume()
                    }
                }
            }
            let end = min(start + StreamBounds.filePieceBytes, bytes.count)
            stream.send(kind: ControlKind.file, payload: Array(bytes[start..<end]))
        }
        stream.send(kind: ControlKind.file, payload: [])
    }

    /// From here on replies and films become updates.
    private func listen(_ workSpace: WorkSpace) -> AsyncStream<RenderUpdate> {
        let (updates, continuation) = AsyncStream<RenderUpdate>.makeStream(
            bufferingPolicy: RenderUpdate.buffering)
        var reader: FilmReader?
        var statistics: RenderStatistics?
        let finish: @EventLoop (RenderUpdate) -> Void = { update in
            self.isDone = true
            continuation.yield(update)
            continuation.finish()
        }
        onFilm = { piece in
            do {
                if let film = try reader?.read(piece) {
                    reader = nil
                    if let statistics {
                        finish(.finished(film, statistics))
                    } else {
                        continuation.yield(.picture(film))
                    }
                }
            } catch {
                finish(.failed("the daemon sent a film that can't be read: \(error)"))
            }
        }
        onReply = { reply in
            switch reply {
            case .notice(let line): continuation.yield(.notice(line))
            case .progress(let progress): continuation.yield(.progress(progress))
            case .picture: reader = FilmReader(workSpace: workSpace)
            case .finished(let result):
                statistics = result
                reader = FilmReader(workSpace: workSpace)
            case .failed(let reason): finish(.failed(reason))
            case .accepted(let name): continuation.yield(.accepted(name))
            case .nodes, .status, .devices, .frames, .following, .missing: break
            }
        }
        onBroken = { error in finish(.failed("\(error)")) }
        return updates
    }
}
