"""HTML pages on a model: its layers, its first filters, and the activations for an input."""
