// How full the bounded parts of a machine are: what simulations check, so that nothing in a node
// grows without end.

/// The fill of one collection of a machine.
package struct Occupancy: Hashable, Sendable {
    /// As the machine calls it.
    package let name: String
    package let count: Int
    /// By the machine's configuration.
    package let countMax: Int

    package init(_ name: String, _ count: Int, max: Int) {
        self.name = name
        self.count = count
        countMax = max
    }

    package var isWithinBounds: Bool { count <= countMax }
}
