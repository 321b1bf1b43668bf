"""From text to a tree, and nothing more: this room knows no graph."""
