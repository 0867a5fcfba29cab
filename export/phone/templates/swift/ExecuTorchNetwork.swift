import CryptoKit
import ExecuTorch
import Foundation

/// A tensor of an artifact's signature, in float32.
struct TensorShape {
    let name: String
    let shape: [Int]
    var elements: Int { shape.reduce(1, *) }
}

/// One exported file: what a call takes, and what it must say of the golden calls.
struct Artifact {
    let file: String
    let sha256: String
    let inputs: [TensorShape] // frames; or samples, and which of their frames are valid
    let state: [TensorShape]
    let goldenCalls: String
    let goldenKeys: [Int]
}

enum SampleError: Swift.Error { case notTheExportedFile(String), notFloat32(String) }

/// The .pte on ExecuTorch's Swift API, which its authors call experimental; the C++ API is the stable one.
final class ExecuTorchNetwork {
    private let artifact: Artifact
    private let module: Module
    private var state: [[Float]] = []

    init(bundle: URL, artifact: Artifact = QwristModel.executorch) throws {
        let file = bundle.appendingPathComponent(artifact.file)
        let digest = SHA256.hash(data: try Data(contentsOf: file)).map { String(format: "%02x", $0) }.joined()
        // With one wrong bit it could answer wrongly, or crash.
        guard digest == artifact.sha256 else { throw SampleError.notTheExportedFile(artifact.file) }
        self.artifact = artifact
        module = Module(filePath: file.path)
        try module.load("forward")
        reset()
    }

    /// Back to the start: a state of zeros.
    func reset() {
        state = artifact.state.map { [Float](repeating: 0, count: $0.elements) }
    }

    /// The inputs of one call, flat, to its rows of log-probabilities; the state is carried to the next.
    func run(_ inputs: [[Float]]) throws -> [Float] {
        let tensors = zip(artifact.inputs + artifact.state, inputs + state).map { Tensor<Float>($1, shape: $0.shape) }
        let outputs: [[Float]] = try module.forward(tensors).map { value in
            guard let tensor: Tensor<Float> = value.tensor() else { throw SampleError.notFloat32(artifact.file) }
            return tensor.scalars()
        }
        state = Array(outputs.dropFirst())
        return outputs[0]
    }

    /// What this phone says of the golden calls in the bundle.
    func replay(bundle: URL) throws -> [Int] {
        let calls = try Data(contentsOf: bundle.appendingPathComponent(artifact.goldenCalls))
        var values = calls.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }[...] // little-endian, as iOS is
        var decoder = GreedyCtc()
        var said: [Int] = []
        reset()
        while !values.isEmpty {
            let inputs = artifact.inputs.map { tensor -> [Float] in
                defer { values = values.dropFirst(tensor.elements) }
                return Array(values.prefix(tensor.elements))
            }
            said += decoder.step(try run(inputs))
        }
        return said
    }

    /// Whether this phone says what the desk said: run it once after installing a bundle, before typing with it.
    func agreesWithDesk(bundle: URL) throws -> Bool {
        try replay(bundle: bundle) == artifact.goldenKeys
    }
}
