"""The emg2qwerty data set and its models, as they are published, read here without any of their code."""
