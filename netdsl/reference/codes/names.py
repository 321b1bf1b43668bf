"""E02: names."""

from netdsl.reference.codes.entry import Code

NAMES = {
    "E0201": Code(
        "unknown layer or block",
        "A link of a chain begins with the name of a layer, or of a block that this file declares or uses. The "
        "message suggests the nearest one. `netdsl layers` lists the layers; a block of another file needs `use "
        '"other.net"`.',
        "net a { input x: 3x8x8; convv 4 k3 }\n",
    ),
    "E0202": Code(
        "unknown name",
        "A name in an expression is a parameter, a `let`, a loop variable or a block that is visible at this place. "
        "Names of an outer body are visible inside; those of a called block are not. Declare it before it is used, or "
        "pass it as an argument.",
        "net a { input x: 8; dense width }\n",
    ),
    "E0203": Code(
        "unknown label",
        "`@name` is the output of an item with the label `name:` earlier, in this body or one around it, and a "
        "dotted path reaches into it. A block does not see the labels of its caller. Label the layer, or pass the "
        "tensor as an argument.",
        "net a { input x: 8; dense 4; add { identity; @first } }\n",
    ),
    "E0204": Code(
        "label used twice",
        "Within a scope a label names one item, because it becomes the name of the layer, of its weights and of its "
        "value. In a loop, compute the label (`layer{i}:`), or label the loop, which gives every turn a scope of "
        "its own.",
        "net a { input x: 8; fc: dense 4; fc: dense 4 }\n",
    ),
    "E0205": Code(
        "declared twice",
        "A block or net has one declaration, including those that come by `use`, and may not have the name of a layer. "
        "Otherwise the meaning of the name would depend on the order of files. Rename one of the two.",
        "block b { relu }\nblock b { tanh }\nnet a { input x: 8; b }\n",
    ),
    "E0206": Code(
        "no such net in the file",
        "`file.net:name` asks for a net that the file does not have, or a net is a variant of one that does not exist. "
        "Blocks cannot be compiled alone. The message lists the nets in the file.",
        "net a = b(3)\n",
    ),
    "E0207": Code(
        "several nets, one must be named",
        "A file with one net needs no name; if there are several, name one: `file.net:name`. `netdsl check "
        "file.net` checks all of them.",
        "net a { input x: 8; dense 4 }\nnet b { input x: 8; dense 2 }\n",
    ),
    "E0208": Code(
        "used file not found",
        "The path of a `use` is relative to the file that contains it, with the ending `.net` written out. A name "
        "without "
        "quotes is that of a file of blocks that comes with netdsl. Check the spelling and the folder.",
        'use "absent.net"\nnet a { input x: 8; dense 4 }\n',
    ),
    "E0209": Code(
        "cycle of use",
        "Files that use each other in a cycle have no order in which their declarations could be read. Move what "
        "they share into a third file that uses neither.",
    ),
    "E0210": Code(
        "use outside the project",
        "A net may use files of its own project only: those below the nearest directory that holds a `.git`, a "
        "`pyproject.toml` or a `netdsl.toml`. So a file from elsewhere cannot read arbitrary files. Copy what is "
        "needed into the project.",
        'use "../../../../../../../../../../../../elsewhere.net"\nnet a { input x: 8; dense 4 }\n',
    ),
    "E0211": Code(
        "a net that is a variant of itself",
        "`net a = b(...)` is a variant of another net; following the variants must end at one with a body. Give one of "
        "them a body.",
        "net a = b()\nnet b = a()\n",
    ),
    "E0212": Code(
        "no such file or shipped net",
        "A net is given as `file.net`, as `file.net:name`, or by the name of a shipped net. `netdsl nets` "
        "lists these; paths are relative to the working directory.",
    ),
}
