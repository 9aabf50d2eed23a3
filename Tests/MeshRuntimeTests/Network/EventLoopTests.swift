// The event loop: order, time, isolation, and its end.

import MeshCore
import MeshSecurity
import Testing

@testable import MeshRuntime

@Suite("Event loop")
struct EventLoopTests {
    @Test("Submitted work runs on the loop's thread, in order")
    func submissionOrder() async {
        let (numbers, sink) = AsyncStream.makeStream(of: Int.self)
        for number in 0..<1_000 {
            EventLoop.submit {
                #expect(EventLoop.isCurrentThread)
                sink.yield(number)
            }
        }
        EventLoop.submit { sink.finish() }
        var seen: [Int] = []
        for await number in numbers { seen.append(number) }
        #expect(seen == Array(0..<1_000))
    }

    @Test("A timer never fires early, and the earlier of two fires first")
    func timers() async {
        let order = await Loop.wait { done in
            var order: [Int] = []
            let start = EventLoop.now
            EventLoop.schedule(after: .milliseconds(30)) {
                #expect(EventLoop.now - start >= .milliseconds(30))
                order.append(2)
                done(order)
            }
            EventLoop.schedule(after: .microseconds(1_500)) {
                #expect(EventLoop.now - start >= .microseconds(1_500))
                order.append(1)
            }
        }
        #expect(order == [1, 2])
    }

    @Test("A closed timer does not fire, a restarted one fires once")
    @EventLoop func cancelledTimer() async {
        var fired: [String] = []
        let cancelled = EventLoop.schedule(after: .zero) { fired.append("cancelled") }
        cancelled.close()
        let timer = LoopTimer { fired.append("restarted") }
        timer.start(after: .milliseconds(1))
        timer.start(after: .milliseconds(5))
        await Loop.pause(.milliseconds(20))
        timer.close()
        #expect(fired == ["restarted"])
    }

    @Test("Work cut in turns lets timers in between, and keeps its order")
    @EventLoop func turns() async {
        var events: [String] = []
        EventLoop.schedule(after: .zero) { events.append("timer") }
        await withCheckedContinuation { continuation in
            for turn in 0..<4 {
                EventLoop.nextTurn {
                    // Longer than the time that one turn of the loop gives.
                    let start = EventLoop.now
                    while EventLoop.now - start < .milliseconds(3) {}
                    events.append("turn \(turn)")
                    if turn == 3 { continuation.resume() }
                }
            }
        }
        #expect(events.filter { $0 != "timer" } == (0..<4).map { "turn \($0)" })
        #expect(events.last == "turn 3" && events.contains("timer"))
    }

    @Test("A loop that is stopped closes what is open and ends its thread")
    func stop() throws {
        let executor = try LoopExecutor()
        let ran = Flag()
        executor.submit { ran.set() }
        executor.stop()
        #expect(ran.isSet)
        let late = Flag()
        executor.submit { late.set() }
        #expect(!late.isSet)
    }

    @Test("Stopping the process's loop leaves no handle open, whatever was going on")
    func stopEverything() async {
        // The loop checks itself at its end that every handle is closed.
        await #expect(processExitsWith: .success) {
            let preamble = StreamPreamble(major: 1, minor: 0, purpose: .mesh)
            let connected = Flag()
            EventLoop.submit {
                let address = NodeAddress(127, 0, 0, 1, port: 0)
                guard
                    let endpoint = try? MeshEndpoint.bind(
                        address, preamble: preamble, security: .plain)
                else {
                    return
                }
                let ring = Keyring(key: MeshKey(), created: "now")
                let record = DiscoveryRecord(
                    node: NodeID(9), mesh: MeshTag(of: ring.current), protocolVersion: 1,
                    instanceName: "stop",
                    address: endpoint.address)
                MeshDiscovery(record: record, keyring: ring, sources: .inProcess).start()
                let connection = StreamConnection.connect(
                    to: endpoint.address, preamble: preamble, security: .plain)
                connection.onClose = { _ in preconditionFailure("called while stopping") }
                connection.onFrame = { kind, payload in
                    connection.send(kind: kind, payload: payload)
                }
                endpoint.listener.onConnection = { accepted in
                    accepted.onFrame = { kind, payload in
                        accepted.send(kind: kind, payload: payload)
                        connected.set()
                    }
                }
                connection.send(kind: 1, payload: Array(repeating: 0, count: 1 << 20))
                EventLoop.schedule(after: .seconds(3_600)) {}
            }
            while !connected.isSet { await Task.yield() }
            EventLoop.stop()
        }
    }
}
