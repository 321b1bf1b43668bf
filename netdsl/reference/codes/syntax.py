"""E01: the text of a file."""

from netdsl.reference.codes.entry import Code

SYNTAX = {
    "E0101": Code(
        "unexpected token",
        "The text is correct up to the place shown, but nothing that may follow there begins with this word or "
        "sign. Layers are joined by `->`, statements end at the end of the line or at `;`, and arguments are separated "
        "by spaces, not commas. Correct the place shown, or what comes just before it.",
        "net a { input x: 8; dense 4, 2 }\n",
    ),
    "E0102": Code(
        "unclosed bracket",
        "Every `{`, `[` and `(` needs its partner, and brackets close in the reverse order of their opening. The "
        "message names the bracket that is left open, or the closing one that has no partner. Add the "
        "missing one at the end of the body or the list.",
        "net a { input x: 8; dense 4\n",
    ),
    "E0103": Code(
        "unterminated string",
        'A string begins and ends with `"` on one line, without escapes and line breaks. Add the closing quote.',
        'use "blocks.net\n',
    ),
    "E0104": Code(
        "character that begins no token",
        "The language consists of words, numbers, strings, brackets and a few signs; other characters "
        "have no meaning, except in comments and strings. Often it is a sign pasted from a formatted "
        "document, such as a dash that looks like a minus. Replace it.",
        "net a { input x: 8; dense 4 $ }\n",
    ),
    "E0105": Code(
        "not UTF-8",
        "A `.net` file is text in UTF-8. A file in another encoding would be read differently on every machine, so "
        "it is refused. Save it as UTF-8 in the editor, or convert it: `iconv -f LATIN1 -t UTF-8 old.net > "
        "new.net`.",
    ),
    "E0106": Code(
        "file too large",
        "A net is written by hand, and files far larger than any person writes are refused before they fill the "
        "memory. Write repetition with `repeat`, `for` and blocks, or divide the file and `use` its parts.",
    ),
    "E0107": Code(
        "brackets nested too deep",
        "The depth of nested brackets has a limit that no readable net reaches. It protects the compiler "
        "from files made to exhaust it. Give inner parts a name: move them into blocks.",
    ),
    "E0108": Code(
        "the file declares nothing",
        "A file has at least one declaration: a `net`, a `block`, a `use` or a `default`. An empty file, or one "
        "with only comments, is usually the result of a mistake in saving. Write a net, such as `net a { input x: 8; "
        "dense 4 }`.",
        "# nothing but this comment\n",
    ),
    "E0109": Code(
        "reserved word used as a name",
        "The words of the language (`net`, `input`, `concat`, `if`, ...) cannot name blocks, labels or parameters, "
        "and `N` cannot name a size: it is the batch, which every tensor has and no file declares. Only `block`, `net` "
        "and `use`, which begin declarations, can be labels. Choose another name.",
        "net a { input x: N; dense 4 }\n",
    ),
    "E0110": Code(
        "malformed or too long number",
        "A number has digits, perhaps a decimal point and an exponent: `64`, `0.5`, `1e-3`. Letters may follow "
        "digits only in shapes (`3x224x224`) and short forms (`k3`). Numbers far longer than any machine's are "
        "refused as well.",
        "net a { input x: 8; dense 4abc }\n",
    ),
    "E0111": Code(
        "name too long",
        "A name has at most 100 characters, and so has a label with its computed part: reports show the path of a "
        "layer, which consists of the names of everything around it.",
        f"net a {{ input x: 8; {'long_' * 21}: relu }}\n",
    ),
    "E0112": Code(
        "not a name",
        "A name consists of the letters a-z and A-Z, digits and `_`, and does not begin with a digit; this holds for "
        'computed names, too, such as `layer{i}` or `cell{"_out"}`. Names are parts of paths, which are split at '
        "dots, keys of weights and words of generated Python, so nothing else is possible. Class names, which "
        "`labels` gives, are free text without control characters.",
        'net a { input x: 8; fc{".weight"}: dense 4 }\n',
    ),
    "E0113": Code(
        "two layers with one path",
        "The path of a layer is the key of its weights, and belongs to one layer only. `reuse` applies a layer again, "
        "but it must be the same: a body with other layers for another input gives them other labels.",
        "net a { input x: 4x8x8; r: { if in.height > 4 { conv 4 k1 } else { conv 4 k1 bias=no } }\n"
        "maxpool k2 -> reuse r }\n",
    ),
}
