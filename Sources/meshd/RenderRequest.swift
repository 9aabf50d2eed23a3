// The three ways a frame is rendered: here alone, through this machine's daemon, or as a node of
// the mesh for the time of the frame.

import ArgumentParser
import Foundation
import Glibc
import MeshCore
import MeshRuntime
import MeshSecurity
import Tracer

/// A frame that renders somewhere.
struct Rendering {
    let updates: AsyncStream<RenderUpdate>
    /// Asks for the picture so far as the result.
    let cancel: @Sendable () async -> Void
    /// Lets go of what rendered it.
    let end: @Sendable () async -> Void
}

/// What the user asked for.
struct RenderRequest {
    let scene: String
    let environment: String?
    /// The folder whose files the scene may name; nil for its own.
    let root: String?
    let settings: FrameSettings
    /// See ``FrameJob/verifiedShare``.
    let verifiedShare: Double?
    /// See ``FrameJob/priority``.
    let priority: Int?
    /// Of a node of this process.
    let limits: NodeLimits
    let threads: Int
    let requested: Instant
    /// The options given that are for a node of this process, and not for a daemon.
    let nodeOptions: [String]

    func renderLocally() async throws -> Rendering {
        // Nothing goes through a store: the files are read where they are.
        let files = try submittedFiles()
        let job = try describe(files) { (_, _) throws(SceneError) in }
        let prepared = try prepare(job, from: files, memory: .none)
        let render = await LocalRender(
            prepared, threads: threads, niceness: 10, requested: requested)
        return Rendering(
            updates: render.updates, cancel: { await render.cancel() }, end: {})
    }

    func renderOnMesh(
        state: String, peers: [NodeAddress], usesDiscovery: Bool, isQuiet: Bool
    ) async throws -> Rendering {
        do {
            let client = try await ControlClient.connect(state: state)
            if !isQuiet, !nodeOptions.isEmpty {
                Terminal.note(
                    "the daemon renders: \(nodeOptions.joined(separator: ", ")) without effect")
            }
            return try await render(with: client)
        } catch ControlError.noDaemon {
            // Then this process is the node.
        } catch let error as ControlError {
            Terminal.note("meshd: \(error); goes on without it")
        }
        return try await renderAsNode(
            state: state, peers: peers, usesDiscovery: usesDiscovery, isQuiet: isQuiet)
    }

    private func render(with client: ControlClient) async throws -> Rendering {
        var names: [Digest: String] = [:]
        let files = try submittedFiles()
        let job = try describe(files) { (_, _) throws(SceneError) in }
        for file in job.files {
            if let digest = Digest(hexadecimal: file.digest) { names[digest] = file.name }
        }
        do {
            let known = names
            let updates = try await client.render(
                job, file: { digest in known[digest].flatMap { try? files.contents(of: $0) } })
            return Rendering(
                updates: updates, cancel: { await client.cancel() },
                end: { await client.close() })
        } catch {
            throw failure(.failed, "\(error)")
        }
    }

    private func renderAsNode(
        state path: String, peers: [NodeAddress], usesDiscovery: Bool, isQuiet: Bool
    ) async throws -> Rendering {
        let (state, temporary) = try openState(path)
        do {
            let (keyring, isNewMesh) = try openKeyring(path)
            return try await renderAsNode(
                in: state, keyring: keyring, isNewMesh: isNewMesh, peers: peers,
                usesDiscovery: usesDiscovery,
                isQuiet: isQuiet,
                end: { Self.remove(temporary) })
        } catch {
            Self.remove(temporary)
            throw error
        }
    }

    private func renderAsNode(
        in state: StateFolder, keyring: Keyring, isNewMesh: Bool, peers: [NodeAddress],
        usesDiscovery: Bool,
        isQuiet: Bool,
        end: @escaping @Sendable () -> Void
    ) async throws -> Rendering {
        let store: FileStore
        do {
            store = try FileStore(
                folder: state.path + "/files", budgetBytes: limits.diskBytes)
        } catch {
            throw failure(.failed, "\(error)")
        }
        // What was put in first stays while the rest follows.
        let hold = store.hold()
        defer { hold.release() }
        let job = try describe(try submittedFiles()) { (bytes, digest) throws(SceneError) in
            hold.add(digest)
            do {
                try store.insert(bytes, as: digest)
            } catch {
                throw .tooLarge("\(error)")
            }
        }
        // The node looks for others while the scene is built.
        let runtime = try await startNode(
            state, store, keyring, peers: peers, usesDiscovery: usesDiscovery)
        let prepared: PreparedJob
        do {
            prepared = try prepare(
                job, from: StoredFiles(job: job, store: store), memory: limits.memory)
        } catch {
            await runtime.stop()
            throw error
        }
        if !isQuiet {
            if isNewMesh { Terminal.note(privateMeshLine) }
            await show(runtime)
        }
        let session = await runtime.submit(prepared, requested: requested)
        return Rendering(
            updates: session.updates, cancel: { await session.cancel() },
            end: {
                await runtime.stop()
                end()
            })
    }

    /// Starts a node on the usual port, which firewalls may let through, or on any other when
    /// another node has that one.
    private func startNode(
        _ state: StateFolder, _ store: FileStore, _ keyring: Keyring, peers: [NodeAddress],
        usesDiscovery: Bool
    ) async throws -> NodeRuntime {
        var configuration = NodeConfiguration(
            name: ProcessInfo.processInfo.hostName,
            listen: NodeAddress(0, 0, 0, 0, port: MeshProtocol.defaultPort),
            threads: threads, peers: peers, usesDiscovery: usesDiscovery, limits: limits)
        do {
            let logger = makeLogger("meshd")
            do {
                return try await NodeRuntime(
                    configuration: configuration, state: state, store: store, keyring: keyring,
                    logger: logger)
            } catch let error as NetworkError where error.isAddressInUse {
                configuration.listen = NodeAddress(0, 0, 0, 0, port: 0)
                return try await NodeRuntime(
                    configuration: configuration, state: state, store: store, keyring: keyring,
                    logger: logger)
            }
        } catch {
            throw failure(.failed, "cannot start: \(error)")
        }
    }

    @EventLoop
    private func show(_ runtime: NodeRuntime) { runtime.onNotice = { Terminal.note($0) } }

    /// The keys of this machine's mesh; of a new one when it is in none, or, where that can't be
    /// kept, of one for this frame.
    private func openKeyring(_ state: String) throws -> (keyring: Keyring, isNewMesh: Bool) {
        do {
            if let keyring = try KeyringFile.load(state: state) { return (keyring, false) }
        } catch {
            throw failure(.failed, "\(error)")
        }
        let made = try? KeyringFile.loadOrMake(state: state)
        return made.map { ($0.keyring, $0.isNew) } ?? (KeyringFile.newMesh(), false)
    }

    /// The state folder, or a temporary one when it can't be used or another process does.
    private func openState(_ path: String) throws -> (StateFolder, temporary: String?) {
        if let state = try? StateFolder(path: path) { return (state, nil) }
        // A name that nobody can have prepared.
        var template = Array((NSTemporaryDirectory() + "/meshd-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw failure(
                .failed, "cannot create a temporary folder: \(String(cString: strerror(errno)))")
        }
        let temporary = String(
            decoding: template.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        do {
            return (try StateFolder(path: temporary), temporary)
        } catch {
            Self.remove(temporary)
            throw failure(.failed, "\(error)")
        }
    }

    private static func remove(_ temporary: String?) {
        if let temporary { try? FileManager.default.removeItem(atPath: temporary) }
    }

    private func submittedFiles() throws -> SubmittedFiles {
        do {
            return try SubmittedFiles(scene: scene, environment: environment, root: root)
        } catch {
            throw unreadable(scene: scene, environment: environment, error)
        }
    }

    private func describe(
        _ files: SubmittedFiles, insert: ([UInt8], Digest) throws(SceneError) -> Void
    ) throws -> FrameJob {
        do {
            var job = try ScenePreparation.describe(files, settings: settings, insert: insert)
            job.verifiedShare = verifiedShare
            job.priority = priority
            return job
        } catch {
            throw unreadable(scene: scene, environment: environment, error)
        }
    }

    private func prepare(
        _ job: FrameJob, from files: any SceneFiles, memory: MemoryLimit
    ) throws -> PreparedJob {
        do {
            return try ScenePreparation.prepare(
                job, from: files, buildThreads: threads, memory: memory)
        } catch {
            throw unreadable(scene: scene, environment: environment, error)
        }
    }
}

/// Ends the program because a scene can't be read, and names it as the user did.
/// - Returns: what to throw.
func unreadable(scene: String, environment: String?, _ error: SceneError) -> ExitCode {
    let exists = FileManager.default.fileExists(atPath:)
    if !exists(scene) { return failure(.unreadableScene, "there is no file '\(scene)'") }
    if let environment, !exists(environment) {
        return failure(.unreadableScene, "there is no file '\(environment)'")
    }
    let isNamedSo = [".gltf", ".glb"].contains { scene.lowercased().hasSuffix($0) }
    let hint = isNamedSo ? "" : "; meshd reads glTF 2.0 (.gltf and .glb)"
    return failure(.unreadableScene, "cannot render '\(scene)': \(error)\(hint)")
}
