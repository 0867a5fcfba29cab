package org.qwrist.sample

import java.io.File
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor as ExecuTorchTensor

/** The .pte on ExecuTorch's Java API, which its authors call experimental; the C++ API is the stable one. */
class ExecuTorchNetwork(bundle: File, private val artifact: Artifact = QwristModel.EXECUTORCH) : Network {
    private val module = Module.load(verified(bundle, artifact).path)
    private var state = emptyList<FloatArray>()

    init {
        reset()
    }

    override fun reset() {
        state = artifact.state.map { FloatArray(it.elements) }
    }

    override fun run(inputs: List<FloatArray>): FloatArray {
        val values = (artifact.inputs + artifact.state).zip(inputs + state) { tensor, values ->
            EValue.from(ExecuTorchTensor.fromBlob(values, tensor.shape))
        }
        val outputs = module.forward(*values.toTypedArray()).map { it.toTensor().dataAsFloatArray }
        state = outputs.drop(1)
        return outputs.first()
    }

    override fun close() = module.destroy()
}
