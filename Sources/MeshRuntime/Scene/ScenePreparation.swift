// From files to a scene that renders: reading, importing, building. It happens on a thread of its
// own, since it may take seconds.

import Dispatch
import MeshSecurity
import Synchronization
public import MeshCore
public import Tracer

/// A scene ready to render, with what the user should know about it.
public struct PreparedJob: Sendable {
    public let job: FrameJob
    public let scene: PreparedScene
    public let workSpace: WorkSpace
    public let notices: [String]
    /// What of the scene takes memory.
    let footprint: SceneFootprint
}

/// Scenes are prepared here, each at most once at a time.
public enum ScenePreparation {
    /// Imports and builds a job's scene.
    /// - Parameters:
    ///   - buildThreads: threads for the acceleration structure.
    ///   - memory: what the frame may need here.
    /// - Throws: ``SceneError``; `.tooLarge` when the frame needs more memory.
    public static func prepare(
        _ job: FrameJob, from files: any SceneFiles, buildThreads: Int,
        memory: MemoryLimit = .none
    ) throws(SceneError) -> PreparedJob {
        guard let workSpace = job.settings.workSpace else {
            throw .tooLarge("a frame of \(job.width)x\(job.height) pixels")
        }
        // A scene is mostly rendered again: with another camera, another size, more samples.
        if let last = latest.withLock({ $0 }), last.job.hasSameScene(as: job) {
            try memory.admit(job, last.footprint)
            return PreparedJob(
                job: job, scene: try PreparedScene(last.scene, frame: job.settings),
                workSpace: workSpace, notices: last.notices, footprint: last.footprint)
        }
        try memory.admit(job)
        let imported = try SceneImporter.load(
            main: job.main, environment: job.environment, from: files
        ) { footprint throws(SceneError) in try memory.admit(job, footprint) }
        let scene = try PreparedScene(
            imported.scene, frame: job.settings, buildThreads: buildThreads)
        let prepared = PreparedJob(
            job: job, scene: scene, workSpace: workSpace, notices: imported.notices,
            footprint: imported.footprint)
        latest.withLock { $0 = prepared }
        return prepared
    }

    /// The scene that was prepared last.
    private static let latest = Mutex<PreparedJob?>(nil)

    /// The same on another thread, with the result brought to the loop.
    @EventLoop
    static func prepare(
        _ job: FrameJob, store: FileStore, buildThreads: Int, memory: MemoryLimit,
        completion: @escaping @Sendable @EventLoop (Result<PreparedJob, SceneError>) -> Void
    ) {
        DispatchQueue.global(qos: .userInitiated).async {
            let result: Result<PreparedJob, SceneError>
            do throws(SceneError) {
                result = .success(
                    try prepare(
                        job, from: StoredFiles(job: job, store: store),
                        buildThreads: buildThreads, memory: memory))
            } catch {
                result = .failure(error)
            }
            EventLoop.submit { completion(result) }
        }
    }

    /// Reads a scene's files, puts them into the store and describes the job.
    /// - Parameters:
    ///   - files: where they are.
    ///   - insert: called with the bytes of each file and their hash.
    /// - Throws: ``SceneError``, naming a file that is missing.
    public static func describe(
        _ files: SubmittedFiles, settings: FrameSettings,
        insert: (_ bytes: [UInt8], _ digest: Digest) throws(SceneError) -> Void
    ) throws(SceneError) -> FrameJob {
        let names = try SceneImporter.referencedFiles(
            main: files.mainName, environment: files.environmentName, in: files)
        guard names.count <= FrameJob.filesMax else {
            throw .tooLarge("a scene of \(names.count) files; \(FrameJob.filesMax) are allowed")
        }
        var entries: [FrameJob.File] = []
        for name in names {
            let bytes = try files.contents(of: name)
            let digest = Digest(hashing: bytes)
            try insert(bytes, digest)
            entries.append(.init(name: name, digest: "\(digest)", sizeBytes: bytes.count))
        }
        let job = FrameJob(
            settings: settings, main: files.mainName, environment: files.environmentName,
            files: entries)
        do {
            // What other nodes would refuse is refused here, where somebody reads why.
            return try FrameJob(decoding: job.encoded())
        } catch {
            throw .tooLarge("a frame whose description other nodes refuse (\(error))")
        }
    }
}

/// The files of a submission: the scene's folder, or a wider one that the user allows, and an
/// environment image from anywhere.
public struct SubmittedFiles: SceneFiles {
    let mainName: String
    let environmentName: String?
    private let sceneFiles: FolderFiles
    private let environmentFiles: FolderFiles?
    private let environmentFile: String

    /// - Parameters:
    ///   - scene: the path of the scene file.
    ///   - environment: the path of an environment image, anywhere.
    ///   - root: the folder whose files the scene may name, itself in or below it; nil for the one
    ///     it is in.
    /// - Throws: ``SceneError`` when the scene is not below the root.
    public init(
        scene: String, environment: String?, root: String? = nil
    ) throws(SceneError) {
        if let root {
            sceneFiles = FolderFiles(folder: root)
            mainName = try sceneFiles.name(of: scene)
        } else {
            (sceneFiles, mainName) = Self.split(scene)
        }
        if let environment {
            let (folder, name) = Self.split(environment)
            environmentFiles = folder
            environmentFile = name
            // A name that no scene can use for a file of its own.
            environmentName = "environment:" + name
        } else {
            environmentFiles = nil
            environmentFile = ""
            environmentName = nil
        }
    }

    public func contents(of name: String) throws(SceneError) -> [UInt8] {
        if let environmentFiles, name == environmentName {
            return try environmentFiles.contents(of: environmentFile)
        }
        return try sceneFiles.contents(of: name)
    }

    private static func split(_ path: String) -> (FolderFiles, String) {
        guard let slash = path.lastIndex(of: "/") else { return (FolderFiles(folder: "."), path) }
        let folder = slash == path.startIndex ? "/" : String(path[..<slash])
        return (FolderFiles(folder: folder), String(path[path.index(after: slash)...]))
    }
}
