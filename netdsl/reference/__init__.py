"""The reference: descriptions of layers, recipes, codes and shipped nets, which commands print."""
