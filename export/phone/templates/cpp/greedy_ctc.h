// Greedy CTC, streaming: a key is said at the first emission of its run (Graves et al. 2006, section 3.2).
#pragma once

#include <algorithm>
#include <vector>

#include "model_constants.h"

namespace qwrist {

class GreedyCtc {
 public:
  // Takes `emissions` rows of kClasses log-probabilities; gives the classes of the keys that they decide.
  std::vector<int> Step(const float* log_probs, int emissions) {
    std::vector<int> said;
    for (int row = 0; row < emissions; ++row, log_probs += kClasses) {
      if (seen_++ < kSettlingEmissions) continue;  // the network's state is not full yet
      const int best = static_cast<int>(std::max_element(log_probs, log_probs + kClasses) - log_probs);
      if (best != previous_ && best != kBlank) said.push_back(best);
      previous_ = best;
    }
    return said;
  }

 private:
  int previous_ = kBlank;
  int seen_ = 0;
};

}  // namespace qwrist
