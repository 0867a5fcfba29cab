// A .pte on ExecuTorch's C++ core API: open, start from zero, run a chunk, carry the state, say keys.
//
//   run_executorch BUNDLE
//
// Hand it a bundle whose hashes and signature you have checked: a .pte with one wrong bit can take the process
// down, or answer wrongly.
#include <executorch/runtime/core/data_loader.h>
#include <executorch/runtime/executor/memory_manager.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/executor/program.h>
#include <executorch/runtime/platform/runtime.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "replay.h"

namespace {

namespace et = executorch::runtime;
using executorch::aten::DimOrderType;
using executorch::aten::ScalarType;
using executorch::aten::SizesType;
using executorch::aten::Tensor;
using executorch::aten::TensorImpl;
using qwrist::Bytes;

constexpr std::size_t kMethodArenaBytes = 8 << 20;  // what the method allocates once, when it is loaded
constexpr std::size_t kTemporaryArenaBytes = 1 << 20;

// Gives parts of a program that is in memory already.
class MemoryLoader final : public et::DataLoader {
 public:
  explicit MemoryLoader(Bytes content) : content_(std::move(content)) {}

  et::Result<et::FreeableBuffer> load(std::size_t offset, std::size_t size,
                                      const SegmentInfo&) const override {
    if (offset > content_.size() || size > content_.size() - offset) return et::Error::InvalidArgument;
    return et::FreeableBuffer(content_.data() + offset, size, nullptr);
  }
  et::Result<std::size_t> size() const override { return content_.size(); }

 private:
  Bytes content_;
};

ScalarType TypeOf(qwrist::Dtype dtype) {
  switch (dtype) {
    case qwrist::Dtype::kInt8: return ScalarType::Char;
    case qwrist::Dtype::kInt16: return ScalarType::Short;
    case qwrist::Dtype::kFloat32: break;
  }
  return ScalarType::Float;
}

class Network {
 public:
  explicit Network(Bytes program) : loader_(std::move(program)) {}

  bool Open() {
    auto program = et::Program::load(&loader_);
    if (!program.ok()) return Failed("load the program", program.error());
    program_ = std::make_unique<et::Program>(std::move(program.get()));
    auto meta = program_->method_meta("forward");
    if (!meta.ok()) return Failed("find the method", meta.error());
    for (std::size_t i = 0; i < meta->num_memory_planned_buffers(); ++i) {
      planned_bytes_.emplace_back(static_cast<std::size_t>(meta->memory_planned_buffer_size(i).get()));
    }
    for (Bytes& bytes : planned_bytes_) planned_spans_.emplace_back(bytes.data(), bytes.size());
    planned_ = std::make_unique<et::HierarchicalAllocator>(
        et::Span<et::Span<std::uint8_t>>(planned_spans_.data(), planned_spans_.size()));
    memory_ = std::make_unique<et::MemoryManager>(&method_allocator_, planned_.get(), &temporary_allocator_);
    auto method = program_->load_method("forward", memory_.get());
    if (!method.ok()) return Failed("load the method", method.error());
    method_ = std::make_unique<et::Method>(std::move(method.get()));
    Reset();
    return true;
  }

  void Reset() {
    state_.clear();
    for (int i = kArtifact.inputs - kArtifact.state; i < kArtifact.inputs; ++i) {
      state_.push_back(qwrist::Zero(kArtifact.tensors[i]));
    }
  }

  bool Run(const std::vector<Bytes>& inputs, Bytes* log_probs) {
    std::vector<Bytes> values = inputs;
    values.insert(values.end(), state_.begin(), state_.end());
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!SetInput(i, &values[i])) return false;
    }
    const et::Error error = method_->execute();
    if (error != et::Error::Ok) return Failed("run", error);
    // Outputs lie in the program's own memory, which the next call overwrites.
    *log_probs = Output(0);
    for (std::size_t i = 0; i < state_.size(); ++i) state_[i] = Output(1 + i);
    return true;
  }

 private:
  static constexpr const qwrist::Artifact& kArtifact = qwrist::kExecuTorch;

  static bool Failed(const char* what, et::Error error) {
    std::fprintf(stderr, "ExecuTorch could not %s: error 0x%x\n", what, static_cast<unsigned>(error));
    return false;
  }

  bool SetInput(std::size_t index, Bytes* value) {
    const qwrist::Tensor& tensor = kArtifact.tensors[index];
    std::vector<SizesType> sizes(tensor.dims, tensor.dims + tensor.rank);
    std::vector<DimOrderType> order;
    for (int i = 0; i < tensor.rank; ++i) order.push_back(static_cast<DimOrderType>(i));
    TensorImpl impl(TypeOf(tensor.dtype), tensor.rank, sizes.data(), value->data(), order.data());
    const et::Error error = method_->set_input(et::EValue(Tensor(&impl)), index);  // copies or borrows `value`
    return error == et::Error::Ok || Failed("take an input", error);
  }

  Bytes Output(std::size_t index) const {
    const Tensor tensor = method_->get_output(index).toTensor();
    const auto* data = static_cast<const std::uint8_t*>(tensor.const_data_ptr());
    return Bytes(data, data + tensor.nbytes());
  }

  MemoryLoader loader_;
  Bytes method_arena_ = Bytes(kMethodArenaBytes);
  Bytes temporary_arena_ = Bytes(kTemporaryArenaBytes);
  et::MemoryAllocator method_allocator_{static_cast<std::uint32_t>(method_arena_.size()), method_arena_.data()};
  et::MemoryAllocator temporary_allocator_{static_cast<std::uint32_t>(temporary_arena_.size()),
                                           temporary_arena_.data()};
  std::vector<Bytes> planned_bytes_;
  std::vector<et::Span<std::uint8_t>> planned_spans_;
  std::unique_ptr<et::HierarchicalAllocator> planned_;
  std::unique_ptr<et::MemoryManager> memory_;
  std::unique_ptr<et::Program> program_;
  std::unique_ptr<et::Method> method_;
  std::vector<Bytes> state_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: run_executorch BUNDLE\n"), 2;
  const std::string bundle = argv[1];
  et::runtime_init();
  Network network(qwrist::ReadFile(bundle + "/" + qwrist::kExecuTorch.file));
  if (!network.Open()) return 1;
  return qwrist::Replay(&network, qwrist::kExecuTorch, bundle);
}
