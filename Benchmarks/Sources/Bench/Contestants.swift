import Compare
import Workloads

/// Every engine that can be timed, in the order of the report; the first is the reference of the ratios unless the
/// command line names another.
let contestants = Contestant.diskCache + Contestant.floors + Contestant.lmdb
