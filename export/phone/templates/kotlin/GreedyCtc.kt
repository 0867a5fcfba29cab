package org.qwrist.sample

/** Greedy CTC, streaming: a key is said at the first emission of its run (Graves et al. 2006, section 3.2). */
class GreedyCtc {
    private var previous = QwristModel.BLANK
    private var seen = 0

    /** Rows of CLASSES log-probabilities, one after another, to the classes of the keys that they decide. */
    fun step(logProbs: FloatArray): List<Int> {
        val said = mutableListOf<Int>()
        for (row in 0 until logProbs.size / QwristModel.CLASSES) {
            if (seen++ < QwristModel.SETTLING_EMISSIONS) continue // the network's state is not full yet
            val start = row * QwristModel.CLASSES
            var best = 0
            for (key in 1 until QwristModel.CLASSES) if (logProbs[start + key] > logProbs[start + best]) best = key
            if (best != previous && best != QwristModel.BLANK) said += best
            previous = best
        }
        return said
    }
}
