/// Greedy CTC, streaming: a key is said at the first emission of its run (Graves et al. 2006, section 3.2).
struct GreedyCtc {
    private var previous = QwristModel.blank
    private var seen = 0

    init() {}

    /// Rows of `classes` log-probabilities, one after another, to the classes of the keys that they decide.
    mutating func step(_ logProbs: [Float]) -> [Int] {
        var said: [Int] = []
        for start in stride(from: 0, to: logProbs.count, by: QwristModel.classes) {
            seen += 1
            if seen <= QwristModel.settlingEmissions { continue } // the network's state is not full yet
            let row = logProbs[start..<(start + QwristModel.classes)]
            let best = row.indices.max { row[$0] < row[$1] }! - start
            if best != previous && best != QwristModel.blank { said.append(best) }
            previous = best
        }
        return said
    }
}
