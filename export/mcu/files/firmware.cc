// The decoder as firmware: raw samples in, keystrokes out, the network on TFLite Micro.
//
// Needs TFLite Micro's sources (C++17), which this bundle does not hold; compile it in your project. It allocates
// nothing but the static memory below. Interpreters keep no state for this model: it goes in and comes out.
#include <cstdint>
#include <cstring>

#include "model.h"
#include "operators.h"
#include "qwrist.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

alignas(16) uint8_t arena[QW_MODEL_ARENA_BYTES];
qw_front front;
qw_norm norm;
qw_frame frame;
qw_decoder decoder;
qw_text text;
int frames_waiting = 0;

constexpr int kFrameFloats = QW_CHANNELS * QW_BINS;

tflite::MicroInterpreter* interpreter() {
  static QwResolver resolver;
  static const bool complete = qw_add_operators(resolver);
  static tflite::MicroInterpreter instance(tflite::GetModel(qw_model), resolver, arena, sizeof arena);
  return complete ? &instance : nullptr;
}

void reset_state(tflite::MicroInterpreter& network) {
  for (int i = 0; i < QW_MODEL_STATES; ++i) {
    const qw_state_tensor& state = qw_model_states[i];
    char* bytes = network.input(1 + i)->data.raw;
    for (uint32_t at = 0; at < state.bytes; at += state.value_bytes) {
      const int32_t zero = state.zero;  // little-endian, as every Cortex-M: its first bytes are the value's
      std::memcpy(bytes + at, &zero, state.value_bytes);
    }
  }
}

void carry_state(tflite::MicroInterpreter& network) {
  for (int i = 0; i < QW_MODEL_STATES; ++i) {
    std::memcpy(network.input(1 + i)->data.raw, network.output(1 + i)->data.raw, qw_model_states[i].bytes);
  }
}

}  // namespace

// Gives false where the arena is too small or an operator is missing.
bool qw_firmware_reset() {
  tflite::MicroInterpreter* network = interpreter();
  if (network == nullptr || network->AllocateTensors() != kTfLiteOk) {
    return false;
  }
  qw_front_reset(&front, false);
#if QW_MODEL_NORMALIZED
  qw_norm_reset(&norm, &qw_model_prior);
#endif
  qw_decoder_reset(&decoder);
  qw_text_reset(&text);
  frames_waiting = 0;
  reset_state(*network);
  return true;
}

// One sample of both bands (QW_CHANNELS values). Sends what the sample decides to `send`; false where the
// network fails.
bool qw_firmware_push(const int16_t* sample, float uv_per_lsb, const uint8_t* valid, void (*send)(qw_keystroke)) {
  bool ready = false;
  qw_front_push_int16(&front, sample, uv_per_lsb, valid, 1, &frame, &ready);
  if (!ready) {
    return true;
  }
#if QW_MODEL_NORMALIZED
  qw_norm_step(&norm, &frame);
#else
  qw_mask_missing(&frame);
#endif
  tflite::MicroInterpreter& network = *interpreter();
  std::memcpy(network.input(0)->data.f + frames_waiting * kFrameFloats, frame.values, sizeof frame.values);
  if (++frames_waiting < QW_MODEL_CHUNK_FRAMES) {
    return true;
  }
  frames_waiting = 0;
  if (network.Invoke() != kTfLiteOk) {
    return false;
  }
  for (int i = 0; i < QW_MODEL_CHUNK_FRAMES / QW_MODEL_STRIDE; ++i) {
    const qw_keystroke key =
        qw_text_step(&text, qw_decoder_step(&decoder, network.output(0)->data.f + i * QW_CLASSES));
    if (key.action != QW_NOTHING) {
      send(key);
    }
  }
  carry_state(network);
  return true;
}
