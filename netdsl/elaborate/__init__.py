"""From a program to a graph: names, arguments, blocks, loops and conditions are resolved, shapes inferred.

`elaborate` is the way in. `program` finds the files, `bodies` carries out statements, `binding` matches arguments,
`expressions` evaluates, `names` calls every layer by its path, `recipe` checks `train` blocks.
"""
