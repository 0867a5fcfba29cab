// The part of LiteRT's Kotlin API that the sample calls, played from a recording; it refuses a state not carried.
package com.google.ai.edge.litert

import org.qwrist.test.Played

enum class Accelerator { CPU }

class TensorBuffer(private val elements: Int) : AutoCloseable {
    private var values = FloatArray(elements)

    fun writeFloat(data: FloatArray) {
        require(data.size == elements) { "a buffer of $elements was given ${data.size}" }
        values = data.copyOf()
    }

    fun readFloat(): FloatArray = values.copyOf()

    override fun close() = Unit
}

class CompiledModel private constructor(path: String) : AutoCloseable {
    private val played = Played(path)

    class Options(vararg val accelerators: Accelerator)

    fun createInputBuffer(inputName: String, signature: String? = null) = TensorBuffer(played.elements.getValue(inputName))

    fun createOutputBuffer(outputName: String, signature: String? = null) = TensorBuffer(played.elements.getValue(outputName))

    fun run(inputs: Map<String, TensorBuffer>, outputs: Map<String, TensorBuffer>, signature: String? = null) {
        played.call(played.inputs.map { inputs.getValue(it).readFloat() })
            .forEach { (name, values) -> outputs.getValue(name).writeFloat(values) }
    }

    override fun close() = Unit

    companion object {
        fun create(filePath: String, options: Options) = CompiledModel(filePath)
    }
}
