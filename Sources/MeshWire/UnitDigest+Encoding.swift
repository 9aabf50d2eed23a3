// What a verified frame compares, as protobuf and back.

import MeshCore
import WorkStealing

extension UnitDigest: WireValue {
    var proto: ProtoDigest {
        var proto = ProtoDigest()
        proto.hash = hash
        proto.sums = [sums.x, sums.y, sums.z]
        proto.arithmeticClass = arithmeticClass
        return proto
    }

    init(_ proto: ProtoDigest) throws(MalformedBytes) {
        guard proto.sums.count == 3, proto.sums.allSatisfy(\.isFinite) else {
            throw .invalid("digest: its sums")
        }
        self.init(
            hash: proto.hash, sums: SIMD3(proto.sums[0], proto.sums[1], proto.sums[2]),
            arithmeticClass: proto.arithmeticClass)
    }
}

extension CheckRequest: WireValue {
    var proto: ProtoCheck {
        var proto = ProtoCheck()
        proto.term = term.proto
        proto.units = units.proto
        return proto
    }

    init(_ proto: ProtoCheck) throws(MalformedBytes) {
        self.init(
            term: try Term(proto.term, isThere: proto.hasTerm, "term"),
            units: try IntervalSet(proto.units))
    }
}

extension CheckResult: WireValue {
    var proto: ProtoCheckResult {
        var proto = ProtoCheckResult()
        proto.term = term.proto
        proto.unit = UInt64(unit)
        proto.digest = digest.proto
        return proto
    }

    init(_ proto: ProtoCheckResult) throws(MalformedBytes) {
        guard proto.hasDigest else { throw .invalid("digest") }
        self.init(
            term: try Term(proto.term, isThere: proto.hasTerm, "term"),
            unit: try checkedUnits(proto.unit), digest: try UnitDigest(proto.digest))
    }
}
