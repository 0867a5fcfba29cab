package org.qwrist.sample

import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import java.io.File

/** The .tflite on LiteRT's CompiledModel. */
class LiteRtNetwork(bundle: File, private val artifact: Artifact = QwristModel.LITERT) : Network {
    private val model = CompiledModel.create(verified(bundle, artifact).path, CompiledModel.Options(Accelerator.CPU))
    private val inputBuffers = (artifact.inputs + artifact.state).associate { it.name to model.createInputBuffer(it.name) }
    private val outputBuffers = outputNames().associateWith { model.createOutputBuffer(it) }

    init {
        reset()
    }

    override fun reset() {
        for (tensor in artifact.state) inputBuffers.getValue(tensor.name).writeFloat(FloatArray(tensor.elements))
    }

    override fun run(inputs: List<FloatArray>): FloatArray {
        artifact.inputs.zip(inputs) { tensor, values -> inputBuffers.getValue(tensor.name).writeFloat(values) }
        model.run(inputBuffers, outputBuffers)
        for (tensor in artifact.state) {
            val next = outputBuffers.getValue(QwristModel.NEXT_PREFIX + tensor.name).readFloat()
            inputBuffers.getValue(tensor.name).writeFloat(next)
        }
        return outputBuffers.getValue(QwristModel.LOG_PROBS).readFloat()
    }

    override fun close() {
        (inputBuffers.values + outputBuffers.values).forEach { it.close() }
        model.close()
    }

    private fun outputNames() = listOf(QwristModel.LOG_PROBS) + artifact.state.map { QwristModel.NEXT_PREFIX + it.name }
}
