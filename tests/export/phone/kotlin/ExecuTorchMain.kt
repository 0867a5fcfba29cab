package org.qwrist.test

import java.io.File
import org.qwrist.sample.ExecuTorchNetwork
import org.qwrist.sample.QwristModel
import org.qwrist.sample.replay

fun main(arguments: Array<String>) {
    val bundle = File(arguments[0])
    println(replay(ExecuTorchNetwork(bundle), QwristModel.EXECUTORCH, bundle).joinToString(" "))
}
