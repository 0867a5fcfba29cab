"""The constants of the samples, from model.json alone: one file a language, so that none is typed twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from edge.manifest import Artifact, ModelManifest, RuntimeKind, TensorSpec
from edge.runtimes.signature import LOG_PROBS, next_name
from export.phone.calls import input_tensors

_MADE: Final = "Made by qwrist from model.json, for {user}'s {network}; do not edit."
_PREFIX: Final = next_name("")
_DTYPES: Final = {"float32": "kFloat32", "int8": "kInt8", "int16": "kInt16"}
_CPP: Final[dict[RuntimeKind, str]] = {"litert": "LiteRt", "executorch": "ExecuTorch"}
_MAX_RANK: Final = 5  # of any tensor in a signature


class Sampled(NamedTuple):
    """An artifact that samples run, and the golden calls that they feed it."""

    artifact: Artifact
    calls_path: str  # in the bundle
    classes: tuple[int, ...]  # what it says of them


def cpp(model: ModelManifest, sampled: Mapping[RuntimeKind, Sampled]) -> str:
    """model_constants.h."""
    scalars = "\n".join(
        f"inline constexpr int {name} = {value};"
        for name, value in (
            ("kRateHz", model.rate_hz),
            ("kHopSamples", model.hop),
            ("kStrideFrames", model.stride),
            ("kClasses", len(model.charset) + 1),
            ("kBlank", model.blank),
            ("kSettlingEmissions", model.settling_frames // model.stride),
        )
    )
    artifacts = "\n".join(_cpp_artifact(_CPP[kind], one, model.stride) for kind, one in sampled.items())
    return f"""// {_made(model)}
#pragma once

#include <cstddef>
#include <cstdint>

namespace qwrist {{

enum class Dtype {{ kFloat32, kInt8, kInt16 }};

struct Tensor {{
  const char* name;
  Dtype dtype;
  int zero_point;
  int rank;
  std::int32_t dims[{_MAX_RANK}];
}};

struct Artifact {{
  const char* file;
  const char* sha256;
  const Tensor* tensors;  // the inputs of a call: what it hears, then its state
  int inputs;
  int state;  // how many of them, the last ones, are state
  int emissions;  // rows of log-probabilities a call
  const char* golden_calls;
  const int* golden_keys;
  std::size_t golden_key_count;
}};

{scalars}
inline constexpr const char* kLogProbs = {_quoted(LOG_PROBS)};
inline constexpr const char* kNextPrefix = {_quoted(_PREFIX)};
inline constexpr const char* kKeys[] = {{{", ".join(_quoted(key) for key in model.charset)}}};

{artifacts}
}}  // namespace qwrist
"""


def _cpp_artifact(name: str, sampled: Sampled, stride: int) -> str:
    artifact, calls_path, classes = sampled
    form = artifact.form
    tensors = (*input_tensors(form), *form.state)
    rows = ",\n    ".join(_cpp_tensor(tensor) for tensor in tensors)
    return f"""inline constexpr Tensor k{name}Tensors[] = {{
    {rows},
}};
inline constexpr int k{name}GoldenKeys[] = {{{", ".join(map(str, classes))}}};
inline constexpr Artifact k{name} = {{
    {_quoted(artifact.file)},
    {_quoted(artifact.sha256)},
    k{name}Tensors, {len(tensors)}, {len(form.state)}, {form.chunk_frames // stride},
    {_quoted(calls_path)}, k{name}GoldenKeys, {len(classes)},
}};
"""


def _cpp_tensor(tensor: TensorSpec) -> str:
    dims = ", ".join(map(str, tensor.shape))
    dtype = f"Dtype::{_DTYPES[tensor.dtype]}"
    return f"{{{_quoted(tensor.name)}, {dtype}, {tensor.zero_point or 0}, {len(tensor.shape)}, {{{dims}}}}}"


def kotlin(model: ModelManifest, sampled: Mapping[RuntimeKind, Sampled]) -> str:
    """QwristModel.kt. Every tensor is float32."""
    artifacts = "\n".join(_kotlin_artifact(kind.upper(), one) for kind, one in sampled.items())
    keys = ", ".join(_quoted(key).replace("$", "\\$") for key in model.charset)
    return f"""package org.qwrist.sample

/** {_made(model)} */
object QwristModel {{
    const val RATE_HZ = {model.rate_hz}
    const val HOP_SAMPLES = {model.hop}
    const val STRIDE_FRAMES = {model.stride}
    const val CLASSES = {len(model.charset) + 1}
    const val BLANK = {model.blank}
    const val SETTLING_EMISSIONS = {model.settling_frames // model.stride}
    const val LOG_PROBS = {_quoted(LOG_PROBS)}
    const val NEXT_PREFIX = {_quoted(_PREFIX)}
    val KEYS = arrayOf({keys})
{artifacts}}}
"""


def _kotlin_artifact(name: str, sampled: Sampled) -> str:
    def tensors(found: tuple[TensorSpec, ...]) -> str:
        return ", ".join(
            f"Tensor({_quoted(tensor.name)}, longArrayOf({', '.join(map(str, tensor.shape))}))"
            for tensor in found
        )

    artifact, calls_path, classes = sampled
    return f"""
    val {name} = Artifact(
        file = {_quoted(artifact.file)},
        sha256 = {_quoted(artifact.sha256)},
        inputs = listOf({tensors(input_tensors(artifact.form))}),
        state = listOf({tensors(artifact.form.state)}),
        goldenCalls = {_quoted(calls_path)},
        goldenKeys = intArrayOf({", ".join(map(str, classes))})
    )
"""


def swift(model: ModelManifest, sampled: Mapping[RuntimeKind, Sampled]) -> str:
    """QwristModel.swift. Every tensor is float32."""
    artifacts = "\n".join(_swift_artifact(kind, one) for kind, one in sampled.items())
    return f"""/// {_made(model)}
enum QwristModel {{
    static let rateHz = {model.rate_hz}
    static let hopSamples = {model.hop}
    static let strideFrames = {model.stride}
    static let classes = {len(model.charset) + 1}
    static let blank = {model.blank}
    static let settlingEmissions = {model.settling_frames // model.stride}
    static let keys = [{", ".join(_quoted(key) for key in model.charset)}]
{artifacts}}}
"""


def _swift_artifact(name: str, sampled: Sampled) -> str:
    def tensors(found: tuple[TensorSpec, ...]) -> str:
        return ", ".join(
            f"TensorShape(name: {_quoted(tensor.name)}, shape: [{', '.join(map(str, tensor.shape))}])"
            for tensor in found
        )

    artifact, calls_path, classes = sampled
    return f"""
    static let {name} = Artifact(
        file: {_quoted(artifact.file)},
        sha256: {_quoted(artifact.sha256)},
        inputs: [{tensors(input_tensors(artifact.form))}],
        state: [{tensors(artifact.form.state)}],
        goldenCalls: {_quoted(calls_path)},
        goldenKeys: [{", ".join(map(str, classes))}]
    )
"""


def _made(model: ModelManifest) -> str:
    return _MADE.format(user=model.user, network=model.network)


def _quoted(text: str) -> str:
    """A string literal of C++, Kotlin (but for `$`) and Swift: the charset is ASCII."""
    return json.dumps(text)
