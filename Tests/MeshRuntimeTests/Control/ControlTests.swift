// The command line's conversation with the daemon over a real socket file.

import Foundation
import MeshCore
import Testing
import Tracer

@testable import MeshRuntime

@Suite("The control socket", .serialized)
@EventLoop
struct ControlTests {
    private func connect(to node: TestNode) async throws -> ControlClient {
        try await ControlClient.connect(state: node.runtime.state.path)
    }

    @Test("A daemon tells of its nodes, itself and its devices")
    func questions() async throws {
        let node = try TestNode("desk")
        let server = try ControlServer(runtime: node.runtime)
        let client = try await connect(to: node)
        let nodes = try await client.nodes()
        #expect(nodes.map(\.name) == ["desk"])
        #expect(nodes.first?.isThisNode == true)
        #expect(try await client.status().frames.isEmpty)
        #expect(try await client.devices().map(\.threads) == [1])
        client.close()
        server.close()
        await node.runtime.stop()
    }

    @Test("A frame rendered by the daemon is the film of a local render")
    func render() async throws {
        let frame = try SmallFrame()
        let expected = try await frame.localHash()
        let node = try TestNode("desk")
        let server = try ControlServer(runtime: node.runtime)
        // The second time the daemon has the files.
        for _ in 0..<2 {
            let client = try await connect(to: node)
            let updates = try await client.render(frame.job, file: frame.bytes)
            let end = try #require(await Updates.end(updates))
            #expect(end.statistics.filmHash == expected)
            #expect(end.film.hash == expected)
            client.close()
        }
        server.close()
        await node.runtime.stop()
    }

    @Test("A frame that is cancelled comes back incomplete")
    func cancel() async throws {
        let frame = try SmallFrame(size: 256, samples: 16_384)
        let node = try TestNode("desk")
        let server = try ControlServer(runtime: node.runtime)
        let client = try await connect(to: node)
        let updates = try await client.render(frame.job, file: frame.bytes)
        #expect(await Loop.until { !node.runtime.sessions.isEmpty })
        client.cancel()
        let end = try #require(await Updates.end(updates))
        #expect(!end.statistics.complete)
        #expect(await Loop.until { node.runtime.frames.isEmpty })
        client.close()
        server.close()
        await node.runtime.stop()
    }

    @Test("When the client vanishes its frame ends")
    func vanished() async throws {
        let frame = try SmallFrame(size: 256, samples: 16_384)
        let node = try TestNode("desk")
        let server = try ControlServer(runtime: node.runtime)
        let client = try await connect(to: node)
        let updates = try await client.render(frame.job, file: frame.bytes)
        for await update in updates {
            // In the middle of a picture, at the latest.
            if case .progress = update { break }
        }
        client.close()
        #expect(await Loop.until { node.runtime.sessions.isEmpty })
        #expect(await Loop.until { node.runtime.frames.isEmpty })
        server.close()
        await node.runtime.stop()
    }

    @Test("Wrong bytes for a file end the conversation with the reason")
    func wrongFile() async throws {
        let frame = try SmallFrame()
        let node = try TestNode("desk")
        let server = try ControlServer(runtime: node.runtime)
        let client = try await connect(to: node)
        var reasons: [String] = []
        do {
            let updates = try await client.render(frame.job) { _ in [1, 2, 3] }
            for await update in updates {
                if case .failed(let reason) = update { reasons.append(reason) }
            }
        } catch {
            reasons.append("\(error)")
        }
        #expect(reasons.count == 1 && reasons[0].contains("hash"), "\(reasons)")
        server.close()
        await node.runtime.stop()
    }

    @Test("Without a daemon, or after its end, a question is an error and no wait")
    func noDaemon() async throws {
        let node = try TestNode("desk")
        await #expect(throws: ControlError.self) { try await connect(to: node) }
        let server = try ControlServer(runtime: node.runtime)
        let client = try await connect(to: node)
        _ = try await client.nodes()
        client.close()
        await #expect(throws: ControlError.self) { try await client.nodes() }
        server.close()
        await node.runtime.stop()
    }

    @Test(
        "Requests that are none are refused with a reason",
        arguments: ["", "{}", "{\"submit\":{}}", "[[[[", "{\"nodes\":{},\"status\":{}}"])
    func hostile(text: String) async throws {
        let node = try TestNode("desk")
        let server = try ControlServer(runtime: node.runtime)
        let stream = StreamConnection.connect(
            toSocketFile: StateFolder.controlSocket(inState: node.runtime.state.path),
            preamble: MeshProtocol.controlPreamble)
        var replies: [String] = []
        var isClosed = false
        stream.onFrame = { replies.append(String(decoding: $1, as: UTF8.self)) }
        stream.onClose = { _ in isClosed = true }
        stream.send(kind: ControlKind.file, payload: [1, 2])
        stream.send(kind: ControlKind.request, payload: [UInt8](text.utf8))
        #expect(await Loop.until { isClosed })
        #expect(replies.count == 1 && replies[0].contains("failed"), "\(replies)")
        server.close()
        await node.runtime.stop()
    }
}
