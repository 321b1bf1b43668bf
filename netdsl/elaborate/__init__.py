"""From a program to a graph: names, arguments, blocks, loops and conditions are resolved, shapes inferred.

`net.elaborate` is the way in. `program` finds the files, `bodies` carries out statements (with `calls`, `joins` and
`control`), `inputs`, `variants` and `promises` are what nets alone have. A `place` is where a statement stands,
`elaboration` what all parts share; `binding` matches arguments, `expressions` evaluates, `names` calls every layer by
its path, `nodes` makes the graph, `recipe` checks `train` blocks.
"""
