"""Training: data set, networks, recipes, evaluation."""
