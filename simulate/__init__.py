"""The simulated wearer: typing behaviour, muscles, wrist, electrodes."""
