package org.qwrist.sample

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest

/** A tensor of an artifact's signature, in float32. */
class Tensor(val name: String, val shape: LongArray) {
    val elements = shape.fold(1L) { product, size -> product * size }.toInt()
}

/** One exported file: what a call takes, and what it must say of the golden calls. */
class Artifact(
    val file: String,
    val sha256: String,
    val inputs: List<Tensor>, // frames; or samples, and which of their frames are valid
    val state: List<Tensor>,
    val goldenCalls: String,
    val goldenKeys: IntArray
)

/** A network that carries its own state from call to call. */
interface Network : AutoCloseable {
    /** Back to the start: a state of zeros. */
    fun reset()

    /** The inputs of one call, flat, to its rows of log-probabilities. */
    fun run(inputs: List<FloatArray>): FloatArray
}

/** Refuses a file that is not the exported one: with one wrong bit it could answer wrongly, or crash. */
fun verified(bundle: File, artifact: Artifact): File {
    val file = File(bundle, artifact.file)
    val digest = MessageDigest.getInstance("SHA-256").digest(file.readBytes())
    val found = digest.joinToString("") { "%02x".format(it) }
    require(found == artifact.sha256) { "${artifact.file} is not the file that was exported" }
    return file
}

/** What the network says of the golden calls in the bundle. */
fun replay(network: Network, artifact: Artifact, bundle: File): IntArray {
    val calls = ByteBuffer.wrap(File(bundle, artifact.goldenCalls).readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
    val decoder = GreedyCtc()
    val said = mutableListOf<Int>()
    network.reset()
    while (calls.hasRemaining()) {
        val inputs = artifact.inputs.map { tensor -> FloatArray(tensor.elements).also { calls.get(it) } }
        said += decoder.step(network.run(inputs))
    }
    return said.toIntArray()
}

/** Whether this phone says what the desk said: run it once after installing a bundle, before typing with it. */
fun agreesWithDesk(network: Network, artifact: Artifact, bundle: File): Boolean =
    replay(network, artifact, bundle).contentEquals(artifact.goldenKeys)
