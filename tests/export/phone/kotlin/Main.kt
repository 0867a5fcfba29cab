// Runs a sample on the JVM: the network is played from a recording beside the artifact.
package org.qwrist.test

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

/** `<artifact>.tensors` lists the inputs, then the outputs, as name and size; `<artifact>.played` holds every call. */
class Played(path: String) {
    private val rows = File("$path.tensors").readLines().map { it.split(" ") }
    private val recording: FloatBuffer =
        ByteBuffer.wrap(File("$path.played").readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
    val elements = rows.associate { it[1] to it[2].toInt() }
    val inputs = rows.filter { it[0] == "input" }.map { it[1] }
    private val outputs = rows.filter { it[0] == "output" }.map { it[1] }

    fun call(given: List<FloatArray>): List<Pair<String, FloatArray>> {
        for ((name, values) in inputs.zip(given)) check(take(name).contentEquals(values)) { "$name was not what the desk gave" }
        return outputs.map { it to take(it) }
    }

    private fun take(name: String) = FloatArray(elements.getValue(name)).also { recording.get(it) }
}
