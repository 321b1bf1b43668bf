"""Nets that are seldom written so, to be ejected all the same."""

CASES = {
    "dead original": """
        net n { input x: 4
         a: dense 4
         @x -> reuse a -> dense 2 }
    """,
    "dead original in a group": """
        net n { input x: 4
         g: { a: dense 4 -> b: dense 4 }
         @x -> reuse g.a -> dense 2 }
    """,
    "reuse inside": """
        net n { input x: 4
         g: { a: dense 4 -> b: dense 4 }
         h: { reuse g.a -> relu -> reuse g.b }
         dense 2 }
    """,
    "reuse of a block with another condition": """
        block b { if in.rank == 1 { dense 4 -> relu } else { flatten -> dense 4 } }
        net n { input x: 4
         b1: b
         reshape (2, 2) -> flatten -> reuse b1 -> dense 2 }
    """,
    "inner tensors": """
        block b { c: conv 4 k1 -> bn -> relu }
        net n { input x: 3x4x4
         e: b
         conv 4 k1
         add { identity ; @e.c } -> conv 4 k1
         add { @e ; identity } }
    """,
    "aux in a block": """
        block b { dense 4 -> relu
         aux side: { dense 3 }
         dense 4 }
        net n { input x: 5
         b -> dense 2 }
    """,
    "two outputs": """
        net n { input x: 5
         dense 4
         output a
         relu
         output b }
    """,
    "recursion": """
        block h(n) { conv 4 k3 p1
         if n > 0 { skip { maxpool k2 -> h n - 1 -> upsample 2 } } }
        net n { input x: 4x16x16
         h 2 -> conv 1 k1 }
    """,
    "open sizes": """
        net n { input x: 3xHxW where H % 4 == 0, W % 4 == 0
         conv 4 k3 p1 -> maxpool k2 -> reshape (4, in.height*in.width) -> softmax }
    """,
    "learned": """
        block b { param g: 4x1x1
         mul { identity ; @g } }
        net n { input x: 4x2x2
         b -> b -> reuse b1 -> flatten -> dense 2 }
    """,
    "input in a block": """
        block b(t) { add { identity ; @t -> dense 4 } }
        net n { input x: 4
         input y: 4
         @x -> b @y -> b @x }
    """,
    "names like ours": """
        block b(in_channels, layers, self, k) [ repeat layers { conv in_channels k=k p=k//2 -> relu } ]
        net n { input x: 3x8x8
         s: b 4 2 1 3
         b 6 3 1 1 }
    """,
    "capital": """
        block b(N1, l) { conv N1 k1 -> conv l k1 }
        net n { input x: 3x4x4
         b 4 5 -> b 5 6 }
    """,
    "float16": """
        net n { input x: 4 float16
         dense 4 -> relu }
    """,
    "numbers": """
        net n { input x: 4x8x8
         scale 0.00001 -> leaky_relu 0.3 -> bn eps=1e-7 -> conv 4 k3 p=same }
    """,
    "labelled loop": """
        net n { input x: 4x8x8
         body: repeat 3 { conv 4 k3 p1 -> relu }
         tail: for w in [4, 5, 6] [ conv w k1 -> bn ] }
    """,
    "labelled join": """
        net n { input x: 4x8x8
         j: concat { for i in 1..3 { conv i k1 } } -> conv 2 k1 }
    """,
    "an output that is an input of another": """
        net n { input x: 4
         a: dense 4
         output first
         @x -> reuse a -> relu
         output second }
    """,
    "options": """
        block b(w, extra = no) { conv w k1
         if extra { bn }
         relu }
        net n { input x: 3x4x4
         b 4 -> b 5 extra=yes -> b 6 }
    """,
    "if in a loop": """
        net n { input x: 3x16x16
         f: [ for i, w in enumerate([4, 6, 8]) { conv w k3 p1 -> relu
         if i > 0 { maxpool k2 } else { bn } } ] }
    """,
    "an operation in a reused label": """
        net n { input x: 4x4
         a: { dense 4 -> transpose (1, 0) } -> reuse a
         b: { skip { dense 4 } } -> reuse b
         c: { dense 4 -> scale 2 } -> reuse c
         d: { slice 0 4 axis=0 -> dense 4 } -> reuse d
         e: { dense 4 -> reshape (4, 4) } -> reuse e
         f: { positions 4 -> add { identity ; dense 4 } } -> reuse f }
    """,
    "only the second of two arguments": """
        net n { input x: 4
         dense 4 -> softplus threshold=2 -> dense 4 -> softplus beta=2 threshold=3 }
    """,
    "five conditions": """
        block b(a, c, d, e, f) { conv 4 k1
         skip if a { conv 4 k1 }
         skip if c { conv 4 k3 p1 }
         skip if d { conv 4 k1 }
         skip if e { conv 4 k3 p1 }
         skip if f { conv 4 k1 } }
        net n { input x: 3x4x4
         b yes yes yes yes yes -> b no yes no yes no }
    """,
    "chars": r"""
        # a "quoted" title × – with \ signs
        # and more
        net n { input x: 4
         dense 2 }
    """,  # noqa: RUF001 - what a file must not have
}
