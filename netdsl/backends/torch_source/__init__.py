"""Ejecting: from a net to one Python file that needs PyTorch alone.

`trace` elaborates the net once more and takes note of which text led to which layer. `forms` asks each layer for its
PyTorch form. `boxes` sorts the layers into what may become a class, the net, block calls and labelled groups, and
`alike` says which of them are of one class.

`classes` writes a class: `arguments` finds what its constructor gives to modules, in `chains` with the loops and
conditions of the net (`steps`), and `forward` follows the data. An argument is said as the `.net` file says it where
that gives the right value in every instance of the class (`scope`, `expressions`); else it is a number where all
agree, else a further parameter. Where instances differ in a way that no parameter or condition explains, each kind
gets a class of its own, with loops unrolled. `module` puts the file together, `python` lays it out.
"""
