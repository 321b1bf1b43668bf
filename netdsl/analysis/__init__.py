"""Properties of a graph: counts, receptive fields, summary, warnings."""
