"""E03: arguments and expressions."""

from netdsl.reference.codes.entry import Code

ARGUMENTS = {
    "E0301": Code(
        "unknown argument",
        "The layer or block has no parameter of this name. A misspelt name is an error and is never ignored. "
        "`netdsl layers NAME` shows the arguments of a layer, and short forms (`k3 s2 p1 d2 g32`) stand for `k s p "
        "d g`.",
        "net a { input x: 3x8x8; conv 4 k3 stride=2 }\n",
    ),
    "E0302": Code(
        "missing argument",
        "A parameter without a default must be given, by position or as `name=value`. The message shows how the "
        "layer or block is called.",
        "net a { input x: 3x8x8; conv 4 }\n",
    ),
    "E0303": Code(
        "too many positional arguments",
        "There are more values without a name than parameters to take them. Arguments are separated by spaces, so "
        "`conv n + 1` has one and `conv n (m)` two. Name the arguments that are meant.",
        "net a { input x: 8; dense 4 yes 7 }\n",
    ),
    "E0304": Code(
        "argument given twice",
        "A parameter takes one value; it was given two, perhaps once in the short form and once by name. Drop one.",
        "net a { input x: 3x8x8; conv 4 k3 k=5 }\n",
    ),
    "E0305": Code(
        "wrong kind of value",
        "Every parameter takes values of one kind: a number, `yes` or `no`, a size, a list, a word from a few, a "
        "block or a tensor. The message says which kind is expected, and what it got. Booleans are written `yes` and "
        "`no`.",
        "net a { input x: 8; dense 4 bias=1 }\n",
    ),
    "E0306": Code(
        "value out of range",
        "The value has the right kind, but it is not possible: a kernel of 0, a probability of 2, more groups "
        "than channels. The message gives the bounds.",
        "net a { input x: 8; dense 0 }\n",
    ),
    "E0307": Code(
        "whole number expected",
        "Sizes and counts are whole numbers, and arithmetic is exact: `7/2` is three and a half and is never rounded "
        "silently, while `0.1*30` is 3. Use `//` to round down, or `round(...)`, or correct the number that does not "
        "divide.",
        "net a { input x: 8; dense 7/2 }\n",
    ),
    "E0308": Code(
        "division by zero",
        "The divisor of `/`, `//` or `%` is 0 for these arguments. Guard it with `if`, or correct the argument.",
        "net a { input x: 8; dense 4//0 }\n",
    ),
    "E0309": Code(
        "unpacking mismatch",
        "`let a, b = list` and `for a, b in list` need lists with as many elements as there are names. Use `_` for "
        "an element that is not needed.",
        "net a { input x: 8; let a, b = [1, 2, 3]; dense a -> dense b }\n",
    ),
    "E0310": Code(
        "operator cannot take these values",
        "Arithmetic takes numbers, comparisons order numbers, and each built-in function has its own arguments; "
        "strings, lists and blocks do not add up. The message shows the values.",
        'net a { input x: 8; dense 4 + "two" }\n',
    ),
    "E0311": Code(
        "condition not decidable for symbolic sizes",
        "A net is built before any input is seen, so an `if` must have one answer for every size that the `input` "
        "allows. Say more about the size (`where H >= 32`), fix it, or drop the condition.",
        "net a { input x: 3xHxW; if in.height > 100 { relu } else { tanh } }\n",
    ),
    "E0312": Code(
        "no such element",
        "`list[i]` counts elements from 0, and from the end with -1, -2 and so on; the list has no element at this "
        "position. A slice, `list[a:b]`, takes the elements that exist.",
        "net a { input x: 8; let widths = [4, 2]; dense widths[2] }\n",
    ),
}
