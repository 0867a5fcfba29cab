// Values between two calls: bytes, because what a state tensor holds is the network's own business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "model_constants.h"

namespace qwrist {

using Bytes = std::vector<std::uint8_t>;

inline std::size_t ElementBytes(Dtype dtype) {
  switch (dtype) {
    case Dtype::kInt8: return 1;
    case Dtype::kInt16: return 2;
    case Dtype::kFloat32: return 4;
  }
  return 0;
}

inline std::size_t TensorBytes(const Tensor& tensor) {
  std::size_t size = ElementBytes(tensor.dtype);
  for (int i = 0; i < tensor.rank; ++i) size *= static_cast<std::size_t>(tensor.dims[i]);
  return size;
}

// What a tensor holds before the first call: real 0, which an integer tensor writes as its zero point.
inline Bytes Zero(const Tensor& tensor) {
  Bytes bytes(TensorBytes(tensor), 0);
  const auto zero = static_cast<std::int16_t>(tensor.zero_point);
  const std::size_t width = ElementBytes(tensor.dtype);
  if (tensor.dtype == Dtype::kFloat32) return bytes;
  for (std::size_t at = 0; at < bytes.size(); at += width) std::memcpy(&bytes[at], &zero, width);
  return bytes;
}

}  // namespace qwrist
