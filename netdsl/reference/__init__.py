"""What the commands that explain print: layers, recipes, codes, shipped nets."""
