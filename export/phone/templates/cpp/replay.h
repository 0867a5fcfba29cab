// Feeds the golden calls to a network and compares what it says with what the desk said.
#pragma once

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "greedy_ctc.h"
#include "tensors.h"

namespace qwrist {

inline Bytes ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

inline std::string Spell(const std::vector<int>& classes) {
  std::string text;
  for (const int key : classes) {
    const std::string name = kKeys[key];
    text += name.size() == 1 ? name : "<" + name + ">";
  }
  return text;
}

// `Network` has bool Run(const std::vector<Bytes>& inputs, Bytes* log_probs), and carries its own state.
template <typename Network>
int Replay(Network* network, const Artifact& artifact, const std::string& bundle) {
  const Bytes golden = ReadFile(bundle + "/" + artifact.golden_calls);
  GreedyCtc decoder;
  std::vector<int> said;
  for (std::size_t at = 0; at < golden.size();) {
    std::vector<Bytes> inputs;  // samples or frames; then, with samples, which frames are valid
    for (int i = 0; i < artifact.inputs - artifact.state; ++i) {
      const std::size_t size = TensorBytes(artifact.tensors[i]);
      if (size > golden.size() - at) return std::fprintf(stderr, "the golden calls are cut off\n"), 1;
      inputs.emplace_back(golden.data() + at, golden.data() + at + size);
      at += size;
    }
    Bytes log_probs;
    if (!network->Run(inputs, &log_probs)) return 1;
    std::vector<float> rows(log_probs.size() / sizeof(float));
    std::memcpy(rows.data(), log_probs.data(), rows.size() * sizeof(float));
    for (const int key : decoder.Step(rows.data(), artifact.emissions)) said.push_back(key);
  }
  const std::vector<int> expected(artifact.golden_keys, artifact.golden_keys + artifact.golden_key_count);
  std::printf("%s\n", Spell(said).c_str());
  if (said == expected) return 0;
  std::fprintf(stderr, "the desk said: %s\n", Spell(expected).c_str());
  return 1;
}

}  // namespace qwrist
