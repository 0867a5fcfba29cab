// The few declarations of TFLite Micro that firmware.cc uses, so that a compiler reads it here: no package brings
// TFLite Micro's headers. Signatures as its documentation gives them; nothing is implemented.
#pragma once
#include <cstddef>
#include <cstdint>

enum TfLiteStatus { kTfLiteOk, kTfLiteError };

struct TfLiteTensor {
  union {
    char* raw;
    float* f;
  } data;
};

namespace tflite {

struct Model;

class MicroOpResolver {};

class MicroInterpreter {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& resolver, uint8_t* arena, size_t arena_bytes);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(size_t index);
  TfLiteTensor* output(size_t index);
};

}  // namespace tflite
