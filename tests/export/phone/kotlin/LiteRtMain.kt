package org.qwrist.test

import java.io.File
import org.qwrist.sample.LiteRtNetwork
import org.qwrist.sample.QwristModel
import org.qwrist.sample.replay

fun main(arguments: Array<String>) {
    val bundle = File(arguments[0])
    println(replay(LiteRtNetwork(bundle), QwristModel.LITERT, bundle).joinToString(" "))
}
