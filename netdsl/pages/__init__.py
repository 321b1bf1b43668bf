"""Looking into a model: its layers, its first weights, and every value on the way from an input to the output."""
