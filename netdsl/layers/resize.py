"""Layers that change the size of an image: padding, cropping, upsampling."""

from dataclasses import dataclass
from typing import Annotated, Any

from netdsl.ir.bounds import Need
from netdsl.ir.dim import upper_bound
from netdsl.ir.types import DType, TensorType
from netdsl.layers.arguments import Flag, Margins, Real, Size, choice
from netdsl.layers.base import Layer, LayerError, Lowering, TorchLowering, per_dimension, register, single
from netdsl.layers.base import spatial as in_words
from netdsl.layers.spans import EACH, MAX_SPAN_POSITIONS, Reads, Span, Spans, cut
from netdsl.layers.windows import SIDES, ZERO, need_image, per_side, torch_margins

SPATIAL = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}
"""The number of spatial dimensions of each interpolation method."""


@register("pad")
@dataclass(frozen=True)
class Pad(Layer):
    """Padding of an image with one `value`, the mirrored image (`reflect`) or the repeated border (`replicate`).

    Input C x spatial, output each side n + before + after. `p` is one margin for all sides, one for each dimension, or
    one for each side in the order (top, left, bottom, right). Source: torch.nn.functional.pad; ONNX operator Pad.
    """

    known_as = ("zero_padding", "zero_pad", "constant_pad", "reflection_pad", "replication_pad")

    p: Margins
    mode: Annotated[str, choice("constant", "reflect", "replicate")] = "constant"
    value: Real = 0.0

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_image(self, x)
        if self.value and self.mode != "constant":
            raise LayerError("E0306", f"`mode={self.mode}` takes no `value`", argument="value", help="drop one of them")
        before, after = per_side(self.p, x.rank - 1)
        for size, a, b, side in zip(x.shape[1:], before, after, SIDES[x.rank - 1], strict=True):
            most = upper_bound(size)
            if self.mode == "reflect" and most is not None and max(a, b) >= most:
                raise LayerError(
                    "E0306",
                    f"`mode=reflect` mirrors at most {most - 1} {side}, all but the outermost, got {max(a, b)}",
                    argument="p",
                    help="use smaller margins, or `mode=replicate`",
                )
        return x.with_shape((x.shape[0], *(n + a + b for n, a, b in zip(x.shape[1:], before, after, strict=True))))

    def needs(self, *inputs: TensorType) -> tuple[Need, ...]:
        (x,) = inputs
        if self.mode != "reflect":
            return ()
        sides = zip(x.shape[1:], *per_side(self.p, x.rank - 1), SIDES[x.rank - 1], strict=True)
        return tuple(Need(size, max(a, b) + 1, f"the number of {side} to mirror") for size, a, b, side in sides)

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        if axis == 0:
            return EACH
        (x,) = inputs
        size, before, after = x.shape[axis], *(sides[axis - 1] for sides in per_side(self.p, x.rank - 1))
        if self.mode == "constant" or not isinstance(size, int) or size + before + after > MAX_SPAN_POSITIONS:
            return Spans.window(1, 1, before)
        mirrored = self.mode == "reflect"
        return Spans.table((_inside(i, size, mirrored=mirrored),) * 2 for i in range(-before, size + after))

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        before, after = per_side(self.p, o.output.rank - 1)
        return o.op(
            "Pad",
            inputs[0],
            o.const([0, 0, *before, 0, 0, *after]),
            o.const(self.value or ZERO) if self.mode == "constant" else None,
            mode={"replicate": "edge"}.get(self.mode, self.mode),
        )

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        rank = t.output.rank - 1
        margins = single(torch_margins(*per_side(self.p, rank)))
        if self.mode == "constant":
            return t.module(f"nn.ConstantPad{rank}d", margins, self.value)(*inputs)
        way = {"reflect": "Reflection", "replicate": "Replication"}[self.mode]
        return t.module(f"nn.{way}Pad{rank}d", margins)(*inputs)


@register("crop")
@dataclass(frozen=True)
class Crop(Layer):
    """Cropping of an image by margins `p`, which are given as for `pad`; it undoes `pad`.

    Input C x spatial, output each side n - before - after. Source: torch.nn.functional.pad with negative margins; ONNX
    operator Slice.
    """

    known_as = ("cropping", "center_crop")

    rearranges = True

    p: Margins

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_image(self, x)
        before, after = per_side(self.p, x.rank - 1)
        for size, a, b, side in zip(x.shape[1:], before, after, SIDES[x.rank - 1], strict=True):
            most = upper_bound(size)
            if most is not None and most <= a + b:
                raise LayerError(
                    "E0415",
                    f"cropping {a} + {b} of {size} {side} leaves none",
                    argument="p",
                    help=f"crop at most {most - 1} {side} in all",
                )
        return x.with_shape((x.shape[0], *(n - a - b for n, a, b in zip(x.shape[1:], before, after, strict=True))))

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        (x,) = inputs
        left = self.infer(x).shape[axis]
        if axis == 0:
            return EACH
        return cut(per_side(self.p, x.rank - 1)[0][axis - 1], 1, left if isinstance(left, int) else None)

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        before, after = per_side(self.p, o.output.rank - 1)
        ends = [-margin if margin else 2**63 - 1 for margin in after]
        axes = list(range(2, o.output.rank + 1))
        return o.op("Slice", inputs[0], o.const(list(before)), o.const(ends), o.const(axes))

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        margins = torch_margins(*per_side(self.p, t.output.rank - 1))
        return t.call("F.pad", inputs[0], [-margin for margin in margins])


@register("upsample")
@dataclass(frozen=True)
class Upsample(Layer):
    """Enlargement of an image by the factor `scale`, a whole number for all dimensions or one for each.

    Input C x spatial, output each side n*scale. `nearest` repeats positions; `linear`, `bilinear`, `trilinear` and
    `bicubic` (for 1, 2, 3 and 2 spatial dimensions) interpolate and keep the borders of the image in place or, with
    `align_corners`, the centres of its outermost positions. Source: torch.nn.functional.interpolate; ONNX operator
    Resize, with cubic_coeff_a = -0.75.
    """

    known_as = ("up_sampling", "interpolate", "resize", "resizing")
    torch_order = (None, "scale", "mode", "align_corners")

    scale: Size = 2
    mode: Annotated[str, choice("nearest", *SPATIAL)] = "nearest"
    align_corners: Flag = False

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        need_image(self, x)
        if x.dtype is DType.FLOAT64:
            raise LayerError("E0409", "`upsample` expected float32 or float16, got float64")
        spatial = x.rank - 1
        if SPATIAL.get(self.mode, spatial) != spatial:
            words = ["`nearest`", *(f"`{mode}`" for mode, rank in SPATIAL.items() if rank == spatial)]
            raise LayerError(
                "E0401",
                f"`mode={self.mode}` is for {in_words(SPATIAL[self.mode])}, and {x} has {spatial}",
                argument="mode",
                help=f"use {' or '.join(words)}",
            )
        if self.align_corners and self.mode == "nearest":
            raise LayerError(
                "E0306",
                "`mode=nearest` has no `align_corners`",
                argument="align_corners",
                help="drop it, or choose a `mode` that interpolates",
            )
        scale = per_dimension(self.scale, spatial, "scale")
        return x.with_shape((x.shape[0], *(n * factor for n, factor in zip(x.shape[1:], scale, strict=True))))

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        if axis == 0:
            return EACH
        (x,) = inputs
        size, scale = x.shape[axis], per_dimension(self.scale, x.rank - 1, "scale")[axis - 1]
        if self.mode == "nearest":
            return Spans.repeated(scale)
        beside = 1 if self.mode == "bicubic" else 0
        if not self.align_corners:
            if scale > MAX_SPAN_POSITIONS:
                return None
            return Spans(tuple(_between(2 * i + 1 - scale, 2 * scale, beside) for i in range(scale)), 1)
        if not isinstance(size, int) or size * scale > MAX_SPAN_POSITIONS:
            return None
        made = size * scale
        return Spans.table(_between(i * (size - 1), max(made - 1, 1), beside) for i in range(made))

    def to_onnx(self, o: Lowering, *inputs: str) -> str:
        scale = o.const([1.0, 1.0, *per_dimension(self.scale, o.output.rank - 1, "scale")], "float32")
        if self.mode == "nearest":
            ways = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            return o.op("Resize", inputs[0], None, scale, **ways)
        return o.op(
            "Resize",
            inputs[0],
            None,
            scale,
            mode="cubic" if self.mode == "bicubic" else "linear",
            coordinate_transformation_mode="align_corners" if self.align_corners else "half_pixel",
            cubic_coeff_a=-0.75 if self.mode == "bicubic" else None,
        )

    def to_torch(self, t: TorchLowering, *inputs: Any) -> Any:
        corners = None if self.mode == "nearest" else self.align_corners
        scale = single(per_dimension(self.scale, t.output.rank - 1, "scale"))
        return t.module("nn.Upsample", scale_factor=scale, mode=self.mode, align_corners=corners)(*inputs)


def _between(position: int, steps: int, beside: int) -> Span:
    """The positions read to interpolate at `position` / `steps`: the nearest, and `beside` more; one if it is exact."""
    first, last = position // steps, -(-position // steps)
    return (first - beside, last + beside) if first < last else (first, last)


def _inside(position: int, size: int, *, mirrored: bool) -> int:
    """The position inside the borders that a position outside repeats, or mirrors."""
    if mirrored:
        return size - 1 - abs(size - 1 - abs(position))
    return min(max(position, 0), size - 1)
