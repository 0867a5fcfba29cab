"""Lab Streaming Layer: amplifiers in, the bands out."""
