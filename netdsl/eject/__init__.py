"""Ejecting: from a net to one Python file that needs PyTorch alone.

`trace` elaborates the net once more and takes note of which text led to which layer. `forms` asks each layer for its
PyTorch form. `boxes` sorts the layers into what becomes a class: block calls and labelled groups that hold the same
layers share one, and `classes` writes it: its constructor says the arguments as the `.net` file does, where every
instance bears that out, its `forward` follows the data. `module` puts the file together.
"""
