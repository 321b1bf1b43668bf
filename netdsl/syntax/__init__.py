"""From text to a syntax tree, without knowledge of the graph."""
