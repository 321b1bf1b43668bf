"""Writing a net as readable PyTorch source: one Python file that needs only PyTorch.

`trace` elaborates the net again and records which text led to which layer. `forms` asks each layer for its PyTorch
form. `boxes` groups the layers into candidates for classes: the net, block calls and labelled groups. `alike` decides
which of them share a class.

`classes` writes a class. `arguments` finds the arguments of modules in its constructor, `chains` writes loops and
conditions of the net (`steps`), and `forward` writes the method of that name. An argument is written as in the `.net`
file if that gives the right value in every instance of the class (`scope`, `expressions`); otherwise as a number if
all instances agree, or as a further parameter. If instances differ in a way that no parameter or condition explains,
each kind gets a class of its own, with loops unrolled. `module` assembles the file, `python` formats it.
"""
