"""What a graph says about a net: counts, receptive field, summary, warnings."""
