// A .tflite on LiteRT's C API (CompiledModel): open, start from zero, run a chunk, carry the state, say keys.
//
//   run_litert BUNDLE
//
// Hand it a bundle whose hashes and signature you have checked: a .tflite with one wrong bit can answer wrongly.
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "litert_c_api.h"
#include "replay.h"

namespace {

using qwrist::Bytes;

bool Done(LiteRtStatus status, const char* what) {
  if (status == 0) return true;
  std::fprintf(stderr, "LiteRT could not %s: status %d\n", what, status);
  return false;
}

class Network {
 public:
  explicit Network(Bytes model) : content_(std::move(model)) {}
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  ~Network() {
    for (const auto& side : {inputs_, outputs_}) {
      for (LiteRtTensorBuffer buffer : side) LiteRtDestroyTensorBuffer(buffer);
    }
    if (compiled_ != nullptr) LiteRtDestroyCompiledModel(compiled_);
    if (options_ != nullptr) LiteRtDestroyOptions(options_);
    if (model_ != nullptr) LiteRtDestroyModel(model_);
    if (environment_ != nullptr) LiteRtDestroyEnvironment(environment_);
  }

  bool Open() {
    return Done(LiteRtCreateEnvironment(0, nullptr, &environment_), "start") &&
           Done(LiteRtCreateModelFromBuffer(environment_, content_.data(), content_.size(), &model_), "load") &&
           Done(LiteRtCreateOptions(&options_), "make options") &&
           Done(LiteRtSetOptionsHardwareAccelerators(options_, kLiteRtHwAcceleratorCpu), "choose the CPU") &&
           Done(LiteRtCreateCompiledModel(environment_, model_, options_, &compiled_), "compile") &&
           Done(LiteRtGetModelSignature(model_, 0, &signature_), "find the signature") && MakeBuffers() && Reset();
  }

  bool Reset() {
    for (int i = kArtifact.inputs - kArtifact.state; i < kArtifact.inputs; ++i) {
      if (!Write(kArtifact.tensors[i].name, qwrist::Zero(kArtifact.tensors[i]))) return false;
    }
    return true;
  }

  bool Run(const std::vector<Bytes>& inputs, Bytes* log_probs) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!Write(kArtifact.tensors[i].name, inputs[i])) return false;
    }
    if (!Done(LiteRtRunCompiledModel(compiled_, 0, inputs_.size(), inputs_.data(), outputs_.size(), outputs_.data()),
              "run")) {
      return false;
    }
    for (int i = kArtifact.inputs - kArtifact.state; i < kArtifact.inputs; ++i) {
      const std::string name = kArtifact.tensors[i].name;
      Bytes next;
      if (!Read(qwrist::kNextPrefix + name, &next) || !Write(name, next)) return false;
    }
    return Read(qwrist::kLogProbs, log_probs);
  }

 private:
  static constexpr const qwrist::Artifact& kArtifact = qwrist::kLiteRt;

  bool MakeBuffers() {
    LiteRtParamIndex inputs = 0, outputs = 0;
    if (!Done(LiteRtGetNumSignatureInputs(signature_, &inputs), "count inputs") ||
        !Done(LiteRtGetNumSignatureOutputs(signature_, &outputs), "count outputs")) {
      return false;
    }
    for (LiteRtParamIndex i = 0; i < inputs; ++i) {
      const char* name = nullptr;
      LiteRtTensor tensor = nullptr;
      LiteRtTensorBufferRequirements needs = nullptr;
      if (!Done(LiteRtGetSignatureInputName(signature_, i, &name), "name an input") ||
          !Done(LiteRtGetSignatureInputTensorByIndex(signature_, i, &tensor), "find an input") ||
          !Done(LiteRtGetCompiledModelInputBufferRequirements(compiled_, 0, i, &needs), "plan an input") ||
          !MakeBuffer(name, tensor, needs, &inputs_)) {
        return false;
      }
    }
    for (LiteRtParamIndex i = 0; i < outputs; ++i) {
      const char* name = nullptr;
      LiteRtTensor tensor = nullptr;
      LiteRtTensorBufferRequirements needs = nullptr;
      if (!Done(LiteRtGetSignatureOutputName(signature_, i, &name), "name an output") ||
          !Done(LiteRtGetSignatureOutputTensorByIndex(signature_, i, &tensor), "find an output") ||
          !Done(LiteRtGetCompiledModelOutputBufferRequirements(compiled_, 0, i, &needs), "plan an output") ||
          !MakeBuffer(name, tensor, needs, &outputs_)) {
        return false;
      }
    }
    return true;
  }

  bool MakeBuffer(const std::string& name, LiteRtTensor tensor, LiteRtTensorBufferRequirements needs,
                  std::vector<LiteRtTensorBuffer>* side) {
    LiteRtRankedTensorType type{};
    LiteRtTensorBuffer buffer = nullptr;
    if (!Done(LiteRtGetRankedTensorType(tensor, &type), "read a shape") ||
        !Done(LiteRtCreateManagedTensorBufferFromRequirements(environment_, &type, needs, &buffer), "allocate")) {
      return false;
    }
    side->push_back(buffer);
    named_[name] = buffer;
    return true;
  }

  bool Write(const std::string& name, const Bytes& value) {
    std::size_t size = 0;
    void* address = nullptr;
    LiteRtTensorBuffer buffer = named_[name];
    if (buffer == nullptr || LiteRtGetTensorBufferPackedSize(buffer, &size) != 0 || size != value.size()) {
      std::fprintf(stderr, "the model has no input %s of %zu bytes\n", name.c_str(), value.size());
      return false;
    }
    if (!Done(LiteRtLockTensorBuffer(buffer, &address, kLiteRtTensorBufferLockModeWrite), "write")) return false;
    std::memcpy(address, value.data(), size);
    return Done(LiteRtUnlockTensorBuffer(buffer), "write");
  }

  bool Read(const std::string& name, Bytes* value) {
    std::size_t size = 0;
    void* address = nullptr;
    LiteRtTensorBuffer buffer = named_[name];
    if (buffer == nullptr || LiteRtGetTensorBufferPackedSize(buffer, &size) != 0) {
      std::fprintf(stderr, "the model has no output %s\n", name.c_str());
      return false;
    }
    if (!Done(LiteRtLockTensorBuffer(buffer, &address, kLiteRtTensorBufferLockModeRead), "read")) return false;
    value->assign(static_cast<std::uint8_t*>(address), static_cast<std::uint8_t*>(address) + size);
    return Done(LiteRtUnlockTensorBuffer(buffer), "read");
  }

  Bytes content_;
  LiteRtEnvironment environment_ = nullptr;
  LiteRtModel model_ = nullptr;
  LiteRtOptions options_ = nullptr;
  LiteRtCompiledModel compiled_ = nullptr;
  LiteRtSignature signature_ = nullptr;
  std::vector<LiteRtTensorBuffer> inputs_, outputs_;
  std::map<std::string, LiteRtTensorBuffer> named_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: run_litert BUNDLE\n"), 2;
  const std::string bundle = argv[1];
  Network network(qwrist::ReadFile(bundle + "/" + qwrist::kLiteRt.file));
  if (!network.Open()) return 1;
  return qwrist::Replay(&network, qwrist::kLiteRt, bundle);
}
