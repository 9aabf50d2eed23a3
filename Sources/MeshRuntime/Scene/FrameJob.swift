// A frame as a user submits it and as it travels to other nodes: render settings, and the scene's
// files by name and hash.

import Foundation
public import MeshCore
import MeshSecurity
public import Tracer

/// Everything that decides a frame's image: settings and the manifest of the scene's files.
public struct FrameJob: Hashable, Sendable, Codable {
    /// A file of the scene.
    public struct File: Hashable, Sendable, Codable {
        /// The name by which the scene refers to it, relative to the scene's folder.
        public var name: String
        /// SHA-256, hexadecimal.
        public var digest: String
        public var sizeBytes: Int
    }
    public var width: Int
    public var height: Int
    public var samplesPerPixel: Int
    public var maxDepth: Int
    public var seed: UInt32
    public var cameraName: String?
    /// Where an adaptive frame ends; nil for the same number of samples everywhere.
    public var noiseTarget: Float?
    /// The name of the scene file among `files`.
    public var main: String
    /// The name of the environment image among `files`.
    public var environment: String?
    public var files: [File]
    /// The share of the units that are rendered twice, on different nodes, and compared; nil: none.
    public var verifiedShare: Double?
    /// The frame's share of each node beside other frames; nil: 10.
    public var priority: Int?
    /// The renderer that declared the frame: another one's samples may differ.
    public var rendererVersion: Int

    /// Raised whenever the tracer's samples change.
    public static let currentRendererVersion = 1
    /// That of adaptive frames: programs that don't know them must not take them for others.
    public static let adaptiveRendererVersion = 2
    /// The most files of a scene.
    public static let filesMax = 4_096
    /// The largest scene: all its files together, bytes.
    public static let sceneBytesMax = 16 << 30
    /// The largest encoded job, bytes.
    public static let encodedBytesMax = 1 << 20

    public init(settings: FrameSettings, main: String, environment: String?, files: [File]) {
        width = settings.width
        height = settings.height
        samplesPerPixel = settings.samplesPerPixel
        maxDepth = settings.maxDepth
        seed = settings.seed
        cameraName = settings.cameraName
        noiseTarget = settings.noiseTarget
        self.main = main
        self.environment = environment
        self.files = files
        rendererVersion = Self.rendererVersion(isAdaptive: settings.noiseTarget != nil)
    }

    private static func rendererVersion(isAdaptive: Bool) -> Int {
        isAdaptive ? adaptiveRendererVersion : currentRendererVersion
    }

    public var settings: FrameSettings {
        FrameSettings(
            width: width, height: height, samplesPerPixel: samplesPerPixel, maxDepth: maxDepth,
            seed: seed, cameraName: cameraName, noiseTarget: noiseTarget)
    }

    /// Whether two jobs render the same files, whatever their settings.
    func hasSameScene(as other: FrameJob) -> Bool {
        main == other.main && environment == other.environment && files == other.files
    }

    /// JSON.
    public func encoded() -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else {
            preconditionFailure("a job has no value that JSON can't hold")
        }
        return [UInt8](data)
    }

    /// Reads what `encoded()` wrote, on another node.
    /// - Throws: ``MalformedBytes`` for anything that is not a job this program can render.
    public init(decoding bytes: [UInt8]) throws(MalformedBytes) {
        guard bytes.count <= Self.encodedBytesMax,
            let job = try? JSONDecoder().decode(FrameJob.self, from: Data(bytes))
        else { throw .invalid("job description") }
        guard job.settings.workSpace != nil, job.maxDepth >= 1, job.maxDepth <= 1_024 else {
            throw .invalid("frame settings")
        }
        let version = Self.rendererVersion(isAdaptive: job.noiseTarget != nil)
        guard job.rendererVersion == version else {
            throw .invalid("renderer version \(job.rendererVersion), this node has \(version)")
        }
        guard !job.files.isEmpty, job.files.count <= Self.filesMax,
            job.files.allSatisfy({
                Digest(hexadecimal: $0.digest) != nil && $0.sizeBytes >= 0
                    && $0.sizeBytes <= FileStore.fileBytesMax && Self.isName($0.name)
            }), job.files.contains(where: { $0.name == job.main }),
            job.files.reduce(0, { $0 + $1.sizeBytes }) <= Self.sceneBytesMax
        else { throw .invalid("list of scene files") }
        self = job
    }
}

extension FrameJob {
    /// Whether a name is one that a scene can have for a file of its folder. Names are never paths
    /// here: files lie in the store under their hashes. But people read them.
    private static func isName(_ name: String) -> Bool {
        (1...nameBytesMax).contains(name.utf8.count) && !name.hasPrefix("/")
            && !name.split(separator: "/").contains("..")
            && name.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
    }

    /// The longest name of a file, bytes: more than a path can have.
    private static let nameBytesMax = 4_096

    /// The files as the store names them, each with its size.
    var storedSizes: [Digest: Int] {
        var sizes: [Digest: Int] = [:]
        for file in files {
            guard let digest = Digest(hexadecimal: file.digest) else { continue }
            sizes[digest] = max(sizes[digest] ?? 0, file.sizeBytes)
        }
        return sizes
    }
}

extension FileStore {
    /// Keeps the files of a job.
    func hold(_ job: FrameJob) -> FileHold { hold(Set(job.storedSizes.keys)) }

    /// Refuses a job whose files exceed the budget, whatever else is in the store.
    /// - Throws: ``FileStoreError/noRoom(neededBytes:budgetBytes:)``.
    func admit(_ job: FrameJob) throws(FileStoreError) {
        let needed = job.storedSizes.values.reduce(0, +)
        guard needed <= budgetBytes else {
            throw .noRoom(neededBytes: needed, budgetBytes: budgetBytes)
        }
    }
}

/// A scene's files as the store holds them.
public struct StoredFiles: SceneFiles {
    private let store: FileStore
    private let digests: [String: Digest]

    public init(job: FrameJob, store: FileStore) {
        self.store = store
        var digests: [String: Digest] = [:]
        for file in job.files { digests[file.name] = Digest(hexadecimal: file.digest) }
        self.digests = digests
    }

    public func contents(of name: String) throws(SceneError) -> [UInt8] {
        guard let digest = digests[name], let bytes = store.contents(of: digest) else {
            throw .missingFile(name)
        }
        return bytes
    }
}
