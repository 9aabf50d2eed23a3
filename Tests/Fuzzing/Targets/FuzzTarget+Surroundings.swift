// What stands around a mesh: services on the network, job descriptions with their manifests of
// files, the daemon's control connection, files that people write, and text on the command line.

import Foundation
import MeshCore
import MeshSecurity
import Tracer

@testable import MeshRuntime
@testable import MeshSimulator

extension FuzzTarget {
    /// A name, then strings as a TXT record has them: each with its length before it (RFC 6763
    /// §6.1); after each record of a service the next service begins.
    static func discovery(_ bytes: [UInt8]) -> Bool {
        var reader = ByteReader(bytes)
        var nodes = DiscoveredNodes(ownNode: NodeID(1))
        var isOurs = false
        let tag = MeshTag(of: MeshKey())
        func string() -> String? {
            guard let size = try? reader.read(UInt8.self),
                let bytes = try? reader.readBytes(Int(size))
            else { return nil }
            return String(decoding: bytes, as: UTF8.self)
        }
        while let name = string() {
            var text: [String] = []
            while let entry = string(), !entry.isEmpty { text.append(entry) }
            let key = ServiceKey(interface: Int32(name.utf8.count % 3), name: name)
            guard let node = DiscoveryRecord.node(inText: text) else {
                _ = nodes.vanished(key)
                continue
            }
            isOurs = true
            let address = NodeAddress(10, 0, 0, UInt8(truncatingIfNeeded: text.count), port: 1)
            _ = nodes.appeared(key, node: node, address: address)
            let record = DiscoveryRecord(
                node: node, mesh: tag, protocolVersion: 1, instanceName: name, address: address)
            require(
                record.instanceName.utf8.count <= DiscoveryRecord.nameBytesMax,
                "a name fits DNS-SD")
            require(DiscoveryRecord.node(inText: record.text) == node, "a record reads as it was")
            require(DiscoveryRecord.meshes(inText: record.text) == [tag], "a tag reads as it was")
            _ = DiscoveryRecord.meshes(inText: text)
        }
        return isOurs
    }

    static func job(_ bytes: [UInt8]) -> Bool {
        guard let job = try? FrameJob(decoding: bytes) else { return false }
        require((try? FrameJob(decoding: job.encoded())) == job, "a job reads as it was")
        require(job.settings.workSpace != nil, "a job can be divided into units")
        return true
    }

    /// JSON of either direction of a control connection, or of a contribution to a frame.
    static func control(_ bytes: [UInt8]) -> Bool {
        let data = Data(bytes)
        let decoder = JSONDecoder()
        if let request = try? decoder.decode(ControlRequest.self, from: data) {
            if case .submit(let job) = request { _ = try? FrameJob(decoding: job.encoded()) }
            return true
        }
        if (try? decoder.decode(ControlReply.self, from: data)) != nil { return true }
        guard let contribution = try? decoder.decode(NodeContribution.self, from: data),
            contribution.isPlausible
        else { return false }
        return Duration(seconds: contribution.presentToSeconds) >= .zero
    }

    /// The file of `meshd sim --faults`.
    static func schedule(_ bytes: [UInt8]) -> Bool {
        guard let file = try? JSONDecoder().decode(ScheduleFile.self, from: Data(bytes)) else {
            return false
        }
        var run = SimulationConfiguration(seed: 1, nodes: [[1e6], [1e6, 2e6], [3e6]])
        guard (try? file.apply(to: &run)) != nil else { return false }
        // What was read is written, and read again.
        guard let data = try? JSONEncoder().encode(ScheduleFile(run)) else {
            preconditionFailure("a run can't be written")
        }
        let again = try? JSONDecoder().decode(ScheduleFile.self, from: data)
        var copy = run
        require((try? again?.apply(to: &copy)) != nil, "a run that was written can be read")
        return true
    }

    /// Words as users write them, and as files of the state folder have them: one a line.
    static func text(_ bytes: [UInt8]) -> Bool {
        var isUnderstood = false
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let word = String(line)
            let address = NodeAddress(word)
            require(address.map { NodeAddress("\($0)") == $0 } ?? true, "an address is itself")
            let node = NodeID(word)
            require(node.map { NodeID("\($0)") == $0 } ?? true, "a node's name is itself")
            let digest = Digest(hexadecimal: word)
            require(digest.map { "\($0)" == word } ?? true, "a hash is itself")
            let costs = CostDistribution(word)
            require(costs.map { CostDistribution("\($0)") == $0 } ?? true, "costs are themselves")
            isUnderstood =
                isUnderstood || address != nil || node != nil || digest != nil || costs != nil
                || SpeedDistribution(word) != nil
        }
        return isUnderstood
    }
}
