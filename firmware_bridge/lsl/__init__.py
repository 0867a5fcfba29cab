"""Lab Streaming Layer: amplifiers as bands, bands as a stream."""
