"""What device and trainer must agree on: samples, frames, sessions, decoding, runtimes."""
