"""The layers of random programs.

Each function takes the writer and the current shape, and gives a call of a layer and the shape that it leaves, or None
where its layer cannot stand.
"""

from __future__ import annotations

from math import prod

from program_sizes import moved, rounded_up, scaled, slide, times

ACTIVATIONS = (
    "relu", "relu6", "leaky_relu", "leaky_relu slope=0.2", "prelu", "prelu init=0.1", "elu", "elu alpha=0.5", "selu",
    "celu alpha=2", "gelu", "gelu approx=tanh", "silu", "mish", "hardswish", "hardsigmoid", "softplus",
    "softplus beta=2", "softsign", "sigmoid", "tanh", "scaled_tanh", "softmax", "softmax axis=-1", "log_softmax",
    "identity", "dropout", "dropout p=0.1", "drop_path 0.2", "dropout2d 0.2",
)  # fmt: skip


def activation(w, x):
    return w.pick(ACTIVATIONS[: -1 if len(x) < 2 else None]), x


def conv(w, x):
    if not image(x) or not x[0].known:
        return None
    channels = x[0].value
    groups = w.pick([g for g in (1, 1, 1, 2, 3, 4) if channels % g == 0])
    out = groups * w.upto(8 // groups, 1)
    made = windows(w, x)
    if made is None:
        return None
    text, sides = made
    if w.chance(4):
        mult = w.upto(2, 1)
        factor = w.pick(["", " mult=1"]) if mult == 1 else f" mult={w.number(2)}"
        return f"depthwise {text}{factor}{bias(w)}", (w.size(channels * mult), *sides)
    group = w.pick([f" g{groups}", f" g={w.number(groups)}"]) if groups > 1 or w.chance(5) else ""
    return f"conv {w.number(out)} {text}{group}{bias(w)}", (w.size(out), *sides)


def windows(w, x):
    """Kernel, stride, padding and dilation of a convolution, and the sides it leaves."""
    rank = len(x) - 1
    kernel, stride, spread = each(w, rank, (1, 2, 3, 4)), each(w, rank, (1, 1, 2, 3)), each(w, rank, (1, 1, 2))
    form = w.upto(4)
    before = after = [0] * rank
    if form == 1:
        before = after = each(w, rank, (0, 1, 2))
    elif form == 2:
        before, after = [w.upto(2) for _ in range(rank)], [w.upto(2) for _ in range(rank)]
    elif form == 3:
        stride = [1] * rank
        reach = [d * (k - 1) for d, k in zip(spread, kernel, strict=True)]
        before, after = [r // 2 for r in reach], [r - r // 2 for r in reach]
    made = list(map(slide, x[1:], kernel, stride, before, after, spread))
    if any(size.least < 1 or size.most > 14 for size in made):
        return None
    pads = {1: argument(w, "p", before), 2: f"p=({', '.join(map(str, before + after))})", 3: "p=same"}.get(form, "")
    parts = [argument(w, "k", kernel), argument(w, "s", stride, 1), pads, argument(w, "d", spread, 1)]
    return " ".join(filter(None, parts)), made


def deconv(w, x):
    if not image(x) or not x[0].known:
        return None
    rank = len(x) - 1
    groups = w.pick([g for g in (1, 1, 2) if x[0].value % g == 0])
    out = groups * w.upto(3, 1)
    kernel, stride, pad = each(w, rank, (1, 2, 3)), each(w, rank, (1, 2)), each(w, rank, (0, 0, 1))
    spread, extra = each(w, rank, (1, 1, 2)), [w.upto(s - 1) for s in stride]
    sides = [
        scaled(n, s, d * (k - 1) + e + 1 - s - 2 * p)
        for n, k, s, p, d, e in zip(x[1:], kernel, stride, pad, spread, extra, strict=True)
    ]
    if any(size.least < 1 or size.most > 14 for size in sides):
        return None
    given = [argument(w, "k", kernel), argument(w, "s", stride, 1)]
    given += [argument(w, "p", pad, 0), argument(w, "d", spread, 1)]
    extras = f" out_pad=({', '.join(map(str, extra))},)" if any(extra) else ""
    text = f"deconv {w.number(out)} {' '.join(filter(None, given))}{extras}{bias(w)}"
    return f"{text} g={groups}" if groups > 1 else text, (w.size(out), *sides)


def pool(w, x):
    if not image(x):
        return None
    rank, kind = len(x) - 1, w.pick(["maxpool", "maxpool", "avgpool", "avgpool", "lppool"])
    kernel = each(w, rank, (1, 2, 3, 4))
    given = w.chance(3)
    stride = each(w, rank, (1, 2, 3)) if given else kernel
    pad, spread = [0] * rank, [1] * rank
    if kind != "lppool":
        pad = [min(p, k // 2) for p, k in zip(each(w, rank, (0, 0, 1)), kernel, strict=True)]
    if kind == "maxpool" and all(size.least > 1 for size in x[1:]):  # else a window could miss the input
        spread = each(w, rank, (1, 1, 2))
    ceil = w.chance(3)
    if any(n.least + 2 * p < d * (k - 1) + 1 for n, k, p, d in zip(x[1:], kernel, pad, spread, strict=True)):
        return None
    sides = [
        rounded_up(n, *rest) if ceil else slide(n, rest[0], rest[1], rest[2], rest[2], rest[3])
        for n, *rest in zip(x[1:], kernel, stride, pad, spread, strict=True)
    ]
    parts = [argument(w, "k", kernel), argument(w, "s", stride) if given else "", "ceil=yes" * ceil]
    if kind == "maxpool":
        parts += [argument(w, "p", pad, 0), argument(w, "d", spread, 1)]
    elif kind == "avgpool":
        parts += [argument(w, "p", pad, 0), "count_pad=no" * w.chance()]
    return f"{kind} {' '.join(filter(None, parts))}", (x[0], *sides)


def pool_to_size(w, x):
    if not image(x):
        return None
    if w.chance():
        return w.pick(["global_avgpool", "global_maxpool"]), (x[0], *[w.size(1)] * (len(x) - 1))
    bins = [w.upto(4, 1) for _ in x[1:]]
    for i, size in enumerate(x[1:]):
        if not size.known:
            bins[i] = w.pick([1, 2, 4]) if len(size.formula) == 1 and w.multiple == 4 else 1
    text = bins[0] if len({*bins}) == 1 else f"({', '.join(map(w.number, bins))})"
    return f"{w.pick(['adaptive_avgpool', 'adaptive_maxpool'])} {text}", (x[0], *map(w.size, bins))


def norm(w, x):
    """A normalization by statistics of the sample itself, with an `eps` that does not magnify rounding errors."""
    kind = w.pick(["ln", "rmsnorm", "channel_ln", "gn", "instance_norm", "lrn"])
    if kind in ("ln", "rmsnorm"):
        dims = w.upto(len(x), 1)
        given = f" dims={dims}" if dims > 1 else ""
        options = [" eps=0.1", " eps=0.1 bias=no"] if kind == "ln" else ["", " eps=0.1"]
        return (f"{kind}{given}{w.pick(options)}", x) if all(size.known for size in x[-dims:]) else None
    if not x[0].known or (len(x) < 2 and kind in ("instance_norm", "lrn")):
        return None
    if kind in ("gn", "instance_norm") and prod(size.least for size in x[1:]) < 2:  # PyTorch refuses single values
        return None
    options = {
        "channel_ln": [" eps=0.1", " eps=0.1 bias=no"],
        "gn": [f" {w.pick([g for g in (1, 2, 3) if x[0].value % g == 0])} eps=0.1{w.pick(['', ' affine=no'])}"],
        "instance_norm": [" eps=0.1", " eps=0.1 affine=yes"],
        "lrn": [f" {w.upto(5, 1)} alpha=0.1", f" {w.upto(5, 1)} alpha=0.1 beta=0.5 k=2"],
    }
    return f"{kind}{w.pick(options[kind])}", x


def scaling(w, x):
    """A layer that at inference is a scale and a shift of each channel."""
    if not x[0].known:
        return None
    kind = w.pick(["bn", "bn", "affine", "normalize", "scale"])
    if kind == "normalize":
        mean, std = ([f"{0.5 + 0.25 * i}" for i in range(w.pick([1, x[0].value]))] for _ in range(2))
        return f"normalize [{', '.join(mean)}] [{', '.join(std)}]", x
    options = {"bn": ["", " eps=1e-3", " affine=no"], "affine": ["", " bias=no", " scale=no"],
               "scale": [" 0.5", " -1"]}  # fmt: skip
    return f"{kind}{w.pick(options[kind])}", x


def dense(w, x):
    if not x[-1].known or x[-1].value > 300:
        return None
    out = w.upto(8, 1)
    if x[-1].value > 3 and w.chance(6):
        return f"rbf {min(out, 3)}", (*x[:-1], w.size(min(out, 3)))
    return f"dense {w.number(out)}{bias(w)}", (*x[:-1], w.size(out))


def sequence(w, x):
    """A layer that takes a sequence of vectors: it reads the steps one after the other, or all at once."""
    if len(x) != 2 or not x[1].known:
        return None
    kind = w.pick(["rnn", "lstm", "gru", "attention", "positions"])
    if kind == "positions":
        return (f"positions {w.number(x[0].value + w.upto(2))}", x) if x[0].known else None
    if kind == "attention":
        heads = w.pick([n for n in (1, 2, 3) if x[1].value % n == 0])
        return f"attention {heads}{w.pick(['', ' causal=yes'])}{bias(w)}", x
    hidden, both, last = w.upto(4, 1), w.chance(3), w.chance(4)
    given = f"{w.pick(['', ' layers=2'])}{' bidirectional=yes' * both}{' last=yes' * last}{bias(w)}"
    width = w.size(hidden * (1 + both))
    return f"{kind} {w.number(hidden)}{given}", (width,) if last else (x[0], width)


def maxout(w, x):
    if not x[0].known:
        return None
    pieces = w.pick([n for n in (1, 2, 3) if x[0].value % n == 0])
    if len(x) > 1 and w.chance():
        return f"channel_shuffle {pieces}", x
    return f"maxout {pieces}", (w.size(x[0].value // pieces), *x[1:])


def reshape(w, x):
    form = w.upto(3)
    if form == 0:
        start = w.upto(len(x) - 1)
        text = "flatten" if start == 0 else f"flatten {w.pick([f'start={start}', f'start={start - len(x)}'])}"
        return text, (*x[:start], times(x[start:]))
    if form == 1:
        perm = list(range(len(x)))
        for i in range(len(x) - 1):
            j = w.upto(len(x) - 1, i)
            perm[i], perm[j] = perm[j], perm[i]
        if len(x) < 2:
            return None
        return f"transpose ({', '.join(map(str, perm))})", tuple(x[i] for i in perm)
    if not all(size.known for size in x):
        return (f"reshape [{x[0].value}, -1]", (x[0], times(x[1:]))) if x[0].known and len(x) > 1 else None
    total = prod(size.value for size in x)
    first = w.pick([n for n in range(1, total + 1) if total % n == 0])
    second = w.pick([n for n in range(1, total // first + 1) if (total // first) % n == 0])
    sizes = [first, second, total // first // second][: len(x) + form]
    sizes[-1] = total // prod(sizes[:-1])
    shown = list(map(w.number, sizes))
    if w.chance():
        shown[w.upto(len(sizes) - 1)] = "-1"
    return f"reshape [{', '.join(shown)}]", tuple(map(w.size, sizes))


def part(w, x):
    axes = [i for i, size in enumerate(x) if size.known]
    if not axes:
        return None
    axis = w.pick(axes)
    n = x[axis].value
    at = "" if axis == 0 and w.chance() else f" axis={w.pick([axis, axis - len(x)])}"
    form = w.upto(2)
    if form == 0:
        maps = [w.upto(n - 1, -n) for _ in range(w.upto(3, 1))]
        return f"select [{', '.join(map(str, maps))}]{at}", put(w, x, axis, len(maps))
    if form == 1:
        parts = w.pick([k for k in (1, 2, 3, 4) if n % k == 0])
        return f"split {parts} {w.upto(parts - 1)}{at}", put(w, x, axis, n // parts)
    start, stop, step = w.upto(n, -n), w.pick([None, w.upto(n + 2, -n)]), w.pick([1, 1, 2, 3])
    left = len(range(n)[start:stop:step])
    if not left:
        return None
    given = f"start={start}" + (f" stop={stop}" if stop is not None else "") + (f" step={step}" if step > 1 else "")
    return f"slice {given}{at}", put(w, x, axis, left)


def margins(w, x):
    if not image(x):
        return None
    rank = len(x) - 1
    before, after = [w.upto(2) for _ in range(rank)], [w.upto(2) for _ in range(rank)]
    if w.chance():
        after = before
    text = f"({', '.join(map(str, before if after == before and rank > 1 else before + after))})"
    if len({*before, *after}) == 1:
        text = w.number(before[0])
    if w.chance():
        sides = [moved(n, -a - b) for n, a, b in zip(x[1:], before, after, strict=True)]
        return (f"crop {text}", (x[0], *sides)) if all(n.least > 0 for n in sides) else None
    mode = w.pick(["", " value=0.5", " mode=reflect", " mode=replicate"])
    if mode == " mode=reflect" and any(n.least <= 2 for n in x[1:]):
        return None
    return f"pad {text}{mode}", (x[0], *(moved(n, a + b) for n, a, b in zip(x[1:], before, after, strict=True)))


def enlarge(w, x):
    if not image(x) or any(size.most > 12 for size in x):
        return None
    rank = len(x) - 1
    if rank == 2 and x[0].known and x[0].value % 4 == 0 and w.chance():
        return "pixel_shuffle 2", (w.size(x[0].value // 4), *(scaled(n, 2, 0) for n in x[1:]))
    factors = each(w, rank, (1, 2))
    mode = w.pick(["", "", f" mode={w.pick({1: ['linear'], 2: ['bilinear', 'bicubic'], 3: ['trilinear']}[rank])}"])
    corners = " align_corners=yes" if mode and w.chance() else ""
    text = f"({', '.join(map(str, factors))},)" if rank == 1 or len({*factors}) > 1 else w.number(factors[0])
    return f"upsample {text}{mode}{corners}", (x[0], *(scaled(n, f, 0) for n, f in zip(x[1:], factors, strict=True)))


LAYERS = (activation, activation, conv, conv, conv, deconv, pool, pool, pool_to_size, norm, scaling, dense, maxout,
          sequence, reshape, part, margins, enlarge)  # fmt: skip


# ------------------------------------------------------------------------------------------------ how it is done


def image(x):
    """Whether a shape is channels and one to three sides."""
    return 2 <= len(x) <= 4


def each(w, rank, options):
    """One number for each side, mostly the same."""
    return [w.pick(options)] * rank if w.upto(2) else [w.pick(options) for _ in range(rank)]


def argument(w, key, numbers, default=None):
    """`k3`, `k3x5`, `k=(3, 5)`; nothing where it is the default."""
    if {*numbers} == {default} and w.upto(3):
        return ""
    if len({*numbers}) == 1:
        return w.pick([f"{key}{numbers[0]}", f"{key}={w.number(numbers[0])}"])
    return w.pick([f"{key}{'x'.join(map(str, numbers))}", f"{key}=({', '.join(map(w.number, numbers))})"])


def bias(w):
    return w.pick(["", "", " bias=no", " bias=yes"])


def put(w, x, axis, value):
    return (*x[:axis], w.size(value), *x[axis + 1 :])
