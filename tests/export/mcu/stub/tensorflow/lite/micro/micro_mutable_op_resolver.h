#pragma once
#include "tensorflow/lite/micro/micro_interpreter.h"

namespace tflite {

template <unsigned int kOperators>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
  TfLiteStatus AddAdd();
  TfLiteStatus AddConcatenation();
  TfLiteStatus AddConv2D();
  TfLiteStatus AddDequantize();
  TfLiteStatus AddFullyConnected();
  TfLiteStatus AddLogSoftmax();
  TfLiteStatus AddLogistic();
  TfLiteStatus AddMean();
  TfLiteStatus AddMul();
  TfLiteStatus AddQuantize();
  TfLiteStatus AddReshape();
  TfLiteStatus AddRsqrt();
  TfLiteStatus AddSlice();
  TfLiteStatus AddSplit();
  TfLiteStatus AddSub();
  TfLiteStatus AddTanh();
};

}  // namespace tflite
