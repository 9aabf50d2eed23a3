// What a membership keeps, against the bounds of its configuration.

package import MeshCore

extension Membership {
    /// The fill of everything in this machine that grows; for tests and simulations.
    package var occupancies: [Occupancy] {
        [
            Occupancy("members", table.count, max: configuration.membersMax),
            Occupancy("broadcasts", broadcasts.entries.count, max: configuration.broadcastsMax),
            Occupancy("relays", relays.count, max: configuration.relaysMax),
            Occupancy("probe order", order.order.count, max: 2 * configuration.membersMax),
            Occupancy("suspicions", suspicions.count, max: configuration.membersMax),
            Occupancy("departed", departed.count, max: configuration.membersMax),
            Occupancy("seeds", seeds.count, max: configuration.seedsMax),
        ]
    }
}
