// The daemon's side of the control socket.

import Dispatch
import Foundation
import Gossip
import MeshCore
import MeshNode
import MeshSecurity
import Tracer
import WorkStealing

/// Serves the commands of this machine's users.
@EventLoop
public final class ControlServer {
    private let runtime: NodeRuntime
    private let listener: StreamListener
    /// Called when the keys on disk are those of another mesh: the daemon is to start anew.
    public var onRejoin: (@EventLoop () -> Void)?

    /// Listens on the socket of the runtime's state folder, readable by its owner only.
    /// - Throws: ``NetworkError``.
    public init(runtime: NodeRuntime) throws {
        self.runtime = runtime
        listener = try StreamListener.listen(
            atSocketFile: StateFolder.controlSocket(inState: runtime.state.path),
            preamble: MeshProtocol.controlPreamble, limits: StreamLimits())
        listener.onConnection = { [weak self] stream in
            guard let self else { return }
            let conversation = ControlConversation(stream, runtime: self.runtime)
            conversation.onRejoin = { [weak self] in self?.onRejoin?() }
            conversation.begin()
        }
    }

    public func close() { listener.close() }
}

/// One client's conversation; the stream's callbacks keep it alive.
@EventLoop
private final class ControlConversation {
    private let stream: StreamConnection
    private let runtime: NodeRuntime
    var onRejoin: (@EventLoop () -> Void)?
    private var job: FrameJob?
    /// Keeps the files that are here until the frame does.
    private var hold: FileHold?
    private var requested = EventLoop.now
    /// The files that the daemon asked for and the client has not begun to send, with their sizes.
    private var expected: [Digest: Int] = [:]
    private var incoming: (digest: Digest, sizeBytes: Int, bytes: [UInt8])?
    private var writes = 0
    private var allSent = false
    private var isPreparing = false
    /// Ends the frame, or the fetching of one.
    private var cancel: (@EventLoop () -> Void)?
    private var isClosed = false
    /// A picture that is on its way, and what must follow it in order.
    private var film: FilmSender?
    /// Wakes who waits for a film to be sent, when the client is gone.
    private var onClosed: (@EventLoop () -> Void)?

    init(_ stream: StreamConnection, runtime: NodeRuntime) {
        self.stream = stream
        self.runtime = runtime
    }

    func begin() {
        stream.onFrame = { kind, payload in self.received(kind, payload) }
        stream.onDrained = { self.film?.schedule() }
        stream.onClose = { _ in
            self.isClosed = true
            self.hold = nil
            self.film?.stop()
            self.onClosed?()
            // Who asked for the frame is gone: nobody would take its result.
            self.cancel?()
        }
    }

    private func received(_ kind: UInt8, _ payload: [UInt8]) {
        switch kind {
        case ControlKind.request:
            guard
                let request = try? JSONDecoder().decode(
                    ControlRequest.self, from: Data(payload))
            else { return fail("a request this daemon does not know; is it another version?") }
            perform(request)
        case ControlKind.file: received(piece: payload)
        default: break
        }
    }

    private func perform(_ request: ControlRequest) {
        switch request {
        case .nodes: stream.send(kind: ControlKind.reply, ControlReply.nodes(runtime.nodeReports))
        case .status:
            stream.send(kind: ControlKind.reply, ControlReply.status(runtime.daemonStatus))
        case .devices:
            stream.send(
                kind: ControlKind.reply,
                ControlReply.devices([.processor(threads: runtime.configuration.threads)]))
        case .frames:
            stream.send(kind: ControlKind.reply, ControlReply.frames(runtime.frameReports))
        case .fetch(let name): fetch(name)
        case .submit(let job): submit(job)
        case .filesSent:
            allSent = true
            prepareWhenReady()
        case .cancel: cancel?()
        case .rejoin: rejoin()
        case .rotateKey: change { try runtime.rotateKey() }
        case .revokeOldKeys(let force): change { try runtime.revokeOldKeys(force: force) }
        }
    }

    /// Answers first: this process is another one afterwards.
    private func rejoin() {
        do {
            let changed = try KeyringFile.load(state: runtime.state.path)
            if let changed, changed == runtime.keyring || runtime.takeOver(changed) {
                stream.send(
                    kind: ControlKind.reply, ControlReply.notice("the daemon stays in the mesh"))
                return
            }
        } catch {
            return fail("\(error)")
        }
        stream.send(kind: ControlKind.reply, ControlReply.notice("the daemon goes over to it"))
        stream.onClose = { [onRejoin] _ in onRejoin?() }
        stream.closeAfterFlush()
    }

    private func change(_ body: () throws -> String) {
        do {
            stream.send(kind: ControlKind.reply, ControlReply.notice(try body()))
        } catch {
            fail("\(error)")
        }
    }

    private func submit(_ job: FrameJob) {
        guard self.job == nil, cancel == nil else { return fail("one frame a connection") }
        do {
            // The bounds are the same as for jobs from the mesh.
            self.job = try FrameJob(decoding: job.encoded())
        } catch {
            return fail("\(error)")
        }
        if let reason = runtime.refusal(of: job) {
            return fail("this machine's node refuses the frame: \(reason)")
        }
        hold = runtime.store.hold(job)
        requested = EventLoop.now
        for file in job.files {
            guard let digest = Digest(hexadecimal: file.digest), !runtime.store.contains(digest)
            else { continue }
            expected[digest] = file.sizeBytes
        }
        let missing = expected.keys.sorted().map { "\($0)" }
        stream.send(kind: ControlKind.reply, ControlReply.missing(missing))
    }

    private func received(piece: [UInt8]) {
        if var file = incoming {
            if piece.isEmpty {
                incoming = nil
                store(file.bytes, file.digest)
            } else if file.bytes.count + piece.count > file.sizeBytes {
                fail("a file is larger than the job says")
            } else {
                // Let go of the other reference, so that appending does not copy.
                incoming = nil
                file.bytes += piece
                incoming = file
            }
        } else if let digest = Digest(bytes: piece),
            let size = expected.removeValue(forKey: digest)
        {
            incoming = (digest, size, [])
        } else {
            fail("a file that was not asked for")
        }
    }

    private func store(_ bytes: [UInt8], _ digest: Digest) {
        writes += 1
        let store = runtime.store
        DispatchQueue.global(qos: .userInitiated).async {
            let failure: String?
            do {
                try store.insert(bytes, as: digest)
                failure = nil
            } catch {
                failure = "\(error)"
            }
            EventLoop.submit {
                self.writes -= 1
                if let failure { self.fail(failure) } else { self.prepareWhenReady() }
            }
        }
    }

    private func prepareWhenReady() {
        guard allSent, writes == 0, let job, !isPreparing, !isClosed else { return }
        isPreparing = true
        ScenePreparation.prepare(
            job, store: runtime.store, buildThreads: runtime.configuration.threads,
            memory: runtime.configuration.limits.memory
        ) { result in
            guard !self.isClosed else { return }
            switch result {
            case .failure(let error): self.fail("\(error)")
            case .success(let prepared): self.start(prepared)
            }
        }
    }

    private func start(_ prepared: PreparedJob) {
        let session = runtime.submit(prepared, requested: requested)
        // The frame has a hold of its own.
        hold = nil
        pass(session.updates, cancel: { session.cancel() })
    }

    private func fetch(_ name: String) {
        guard job == nil, cancel == nil else { return fail("one frame a connection") }
        do {
            let follower = try FrameFollower(runtime.frame(named: name), runtime: runtime)
            stream.send(kind: ControlKind.reply, ControlReply.following(follower.job))
            pass(follower.updates, cancel: { follower.cancel() })
        } catch {
            fail("\(error)")
        }
    }

    private func pass(
        _ updates: AsyncStream<RenderUpdate>, cancel: @escaping @EventLoop () -> Void
    ) {
        self.cancel = cancel
        Task { @EventLoop in
            for await update in updates { await self.pass(update) }
            self.cancel = nil
            self.stream.closeAfterFlush()
        }
    }

    private func pass(_ update: RenderUpdate) async {
        guard !isClosed else { return }
        switch update {
        case .accepted(let name):
            stream.send(kind: ControlKind.reply, ControlReply.accepted(name))
        case .notice(let line):
            stream.send(kind: ControlKind.reply, ControlReply.notice(line))
        case .progress(let progress):
            // There will be another one.
            guard stream.isWritable else { return }
            stream.send(kind: ControlKind.reply, ControlReply.progress(progress))
        case .picture(let film):
            stream.send(kind: ControlKind.reply, ControlReply.picture)
            await send(film)
        case .finished(let film, let statistics):
            stream.send(kind: ControlKind.reply, ControlReply.finished(statistics))
            await send(film)
        case .failed(let reason):
            stream.send(kind: ControlKind.reply, ControlReply.failed(reason))
        }
    }

    /// Sends a film; returns when all of it is on its way.
    private func send(_ film: Film) async {
        await withCheckedContinuation { continuation in
            var waiting: CheckedContinuation<Void, Never>? = continuation
            let resume: @EventLoop () -> Void = {
                waiting?.resume()
                waiting = nil
            }
            self.film = FilmSender(
                film, send: { self.stream.send(kind: ControlKind.film, payload: $0) },
                isWritable: { self.stream.isWritable }, onFinished: resume)
            onClosed = resume
            if isClosed { resume() }
        }
        self.film = nil
        onClosed = nil
    }

    private func fail(_ reason: String) {
        stream.send(kind: ControlKind.reply, ControlReply.failed(reason))
        stream.closeAfterFlush()
    }
}

extension NodeRuntime {
    var nodeReports: [NodeReport] {
        node.members.map { member in
            NodeReport(
                id: "\(member.participant.node)", name: member.name,
                address: "\(member.address)", status: "\(member.status)",
                version: member.version, devices: member.devices,
                samplesPerSecond: member.samplesPerSecond, idle: member.isIdle,
                isThisNode: member.participant == identity,
                refusals: refusals(by: member.participant))
        }
    }

    var daemonStatus: DaemonStatus {
        DaemonStatus(
            name: configuration.name, id: "\(identity.node)",
            version: MeshProtocol.programVersion, address: "\(address)",
            discovery: discovery.map { "\($0.mode)" } ?? "off",
            nodesAlive: node.members.count { $0.status == .alive },
            frames: node.frames.map { status in
                let participant = node.participant(of: status.frame)
                let film = frames[status.frame]?.film
                return DaemonStatus.Frame(
                    id: "\(status.frame)", stage: "\(status.stage)",
                    width: status.job?.width, height: status.job?.height,
                    samplesPerPixel: status.job?.samplesPerPixel,
                    committed: film.map {
                        Double($0.coverage.count) / Double(max(1, $0.workSpace.count))
                    } ?? 0,
                    isRoot: participant?.isRoot ?? false,
                    participants: participant?.participantCount ?? 0,
                    refusals: refusals(of: status.frame))
            }, garbageReceived: garbageReceived)
    }
}
