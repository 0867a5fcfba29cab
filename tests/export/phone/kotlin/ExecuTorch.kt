// The part of ExecuTorch's Java API that the sample calls, played from a recording; it refuses a state not carried.
package org.pytorch.executorch

import org.qwrist.test.Played

class Tensor private constructor(val dataAsFloatArray: FloatArray, val shape: LongArray) {
    companion object {
        fun fromBlob(data: FloatArray, shape: LongArray): Tensor {
            require(data.size.toLong() == shape.fold(1L) { product, size -> product * size })
            return Tensor(data, shape)
        }
    }
}

class EValue private constructor(private val tensor: Tensor) {
    fun toTensor() = tensor

    companion object {
        fun from(tensor: Tensor) = EValue(tensor)
    }
}

class Module private constructor(path: String) {
    private val played = Played(path)

    fun forward(vararg inputs: EValue): Array<EValue> =
        played.call(inputs.map { it.toTensor().dataAsFloatArray })
            .map { (_, values) -> EValue.from(Tensor.fromBlob(values, longArrayOf(values.size.toLong()))) }
            .toTypedArray()

    fun destroy() = Unit

    companion object {
        fun load(path: String) = Module(path)
    }
}
