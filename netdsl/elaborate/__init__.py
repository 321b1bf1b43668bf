"""From a syntax tree to a graph: names, arguments, blocks, loops and conditions are resolved, shapes are inferred.

The entry point is `net.elaborate`. `program` loads the files, `bodies` carries out statements (with `calls`, `joins`
and `control`); `inputs`, `variants` and `promises` handle what only nets have. A `place` is where a statement stands,
and `elaboration` holds what all parts share; `binding` matches arguments with parameters, `expressions` evaluates,
`names` gives every layer its path, `nodes` makes the graph, `recipe` checks `train` blocks.
"""
