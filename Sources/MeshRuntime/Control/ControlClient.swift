// The command line's side of the control socket.

import Foundation
public import MeshCore
import Tracer

/// Why a daemon could not be asked.
public enum ControlError: Error, Sendable, CustomStringConvertible {
    /// No daemon listens on the socket.
    case noDaemon(socket: String)
    /// It ended the conversation.
    case broken(String)

    public var description: String {
        switch self {
        case .noDaemon(let socket):
            "no meshd daemon answers at '\(socket)'; start one with 'meshd up'"
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
    /// - Throws: ``ControlError/noDaemon(socket:)``.
    public static func connect(state: String) async throws -> ControlClient {
        let path = StateFolder.controlSocket(inState: state)
        guard FileManager.default.fileExists(atPath: path) else {
            throw ControlError.noDaemon(socket: path)
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
                if case .incompatible = reason {
                    continuation.resume(throwing: ControlError.broken("\(reason)"))
                } else {
                    continuation.resume(throwing: ControlError.noDaemon(socket: path))
                }
            }
        }
        stream.onFrame = { kind, payload in client.received(kind, payload) }
        return client
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

    private func ask(_ request: ControlRequest) async throws -> ControlReply {
        guard stream.isOpen else { throw broken(.closedByPeer) }
        return try await withCheckedThrowingContinuation { continuation in
            onReply = { reply in
                self.onReply = nil
                self.onBroken = nil
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

    public func status() async throws -> DaemonStatus {
        guard case .status(let status) = try await ask(.status) else { throw unexpected }
        return status
    }

    public func devices() async throws -> [DeviceInfo] {
        guard case .devices(let devices) = try await ask(.devices) else { throw unexpected }
        return devices
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
        case .failed(let reason): throw ControlError.broken(reason)
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
        let (updates, continuation) = AsyncStream<RenderUpdate>.makeStream(
            bufferingPolicy: RenderUpdate.buffering)
        listen(workSpace, continuation)
        stream.send(kind: ControlKind.request, ControlRequest.filesSent)
        return updates
    }

    /// Ends the frame early; `finished` follows.
    public func cancel() { stream.send(kind: ControlKind.request, ControlRequest.cancel) }

    private func send(_ bytes: [UInt8], _ digest: Digest) async {
        stream.send(kind: ControlKind.file, payload: digest.bytes)
        for start in stride(from: 0, to: bytes.count, by: StreamBounds.pieceBytes) {
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
            let end = min(start + StreamBounds.pieceBytes, bytes.count)
            stream.send(kind: ControlKind.file, payload: Array(bytes[start..<end]))
        }
        stream.send(kind: ControlKind.file, payload: [])
    }

    private func listen(
        _ workSpace: WorkSpace, _ continuation: AsyncStream<RenderUpdate>.Continuation
    ) {
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
            case .nodes, .status, .devices, .missing: break
            }
        }
        onBroken = { error in finish(.failed("\(error)")) }
    }
}
