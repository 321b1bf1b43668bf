"""Sliding windows along every spatial dimension, for convolutions and pooling."""

from bisect import bisect_left
from dataclasses import dataclass

from netdsl.ir.dim import Dim, Symbolic, upper_bound
from netdsl.ir.types import TensorType
from netdsl.layers.base import Layer, LayerError, need_float, need_rank, per_dimension, spatial
from netdsl.layers.spans import EACH, Reads, Spans

SIDES = {1: ("columns",), 2: ("rows", "columns"), 3: ("planes", "rows", "columns")}
"""Names of the positions along each dimension, by the number of spatial dimensions."""

ZERO = -0.0
"""The zero with which a Pad pads: onnxruntime merges a Pad of +0.0 into a pool after it, which pads otherwise."""


@dataclass(frozen=True, slots=True)
class Slide:
    """A window of `kernel` positions, `dilation` apart, that moves in steps of `stride` along one dimension.

    Attributes:
        size: the input's size.
        before: padding before the first position.
        after: padding after the last position.
        overhang: how far the last window may reach past the padding (pooling that rounds up).
    """

    size: Dim
    kernel: int
    stride: int
    dilation: int = 1
    before: int = 0
    after: int = 0
    overhang: int = 0

    @property
    def extent(self) -> int:
        """The number of positions from the first to the last of a window."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def outputs(self) -> Dim:
        """The number of windows."""
        return (self.size + self.before + self.after + self.overhang - self.extent) // self.stride + 1

    @property
    def missing(self) -> int:
        """The number of positions that the padded input lacks for one window, if that is certain; else 0."""
        most = upper_bound(self.size)
        return 0 if most is None else max(0, self.extent - self.overhang - most - self.before - self.after)

    @property
    def unseen(self) -> int:
        """The number of input positions at the end that no window reaches, because a further window would not fit.

        Gaps between windows whose stride exceeds their extent are intended and do not count. 0 where a symbolic
        size leaves it open.
        """
        seen = (self.outputs - 1) * self.stride + self.extent - self.before
        rest = self.size - seen - max(0, self.stride - self.extent)
        return max(0, rest) if isinstance(rest, int) else 0


class Windowed(Layer):
    """A layer whose outputs each read a window of the input."""

    def slides(self, x: TensorType) -> tuple[Slide, ...]:
        """The sliding window along each spatial dimension of `x`."""
        raise NotImplementedError

    def unseen(self, x: TensorType) -> tuple[int, ...]:
        """Rows, columns, ... at the end of `x` that no window reaches; see `Slide.unseen`."""
        return tuple(slide.unseen for slide in self.slides(x))

    def reads(self, axis: int, *inputs: TensorType) -> Reads:
        if axis == 0:
            return EACH
        slide = self.slides(inputs[0])[axis - 1]
        return Spans.window(slide.extent, slide.stride, slide.before, slide.dilation)

    def slid(self, x: TensorType, channels: Dim) -> TensorType:
        """The type of `channels` maps with one position for each window; at least one window must fit."""
        slides = self.slides(x)
        for slide, side in zip(slides, SIDES[len(slides)], strict=True):
            if slide.missing:
                raise self._too_large(slide, side, x)
        return x.with_shape((channels, *(slide.outputs for slide in slides)))

    def _too_large(self, slide: Slide, side: str, x: TensorType) -> LayerError:
        spread = f" with dilation {slide.dilation}" if slide.dilation > 1 else ""
        there = f"input has {slide.size}"
        if slide.before or slide.after:
            padding = f"2*{slide.before}" if slide.before == slide.after else f"{slide.before} + {slide.after}"
            there = f"padded input has {slide.size} + {padding}"
        return LayerError(
            "E0402",
            f"kernel {slide.kernel}{spread} needs at least {slide.extent - slide.overhang} {side}, and the {there}",
            argument="k",
            help=f"use {self._remedies(x)}",
        )

    def _remedies(self, x: TensorType) -> str:
        """The least padding and the largest kernel for which a window fits."""
        slides = self.slides(x)
        larger = range(2, max(slide.kernel for slide in slides) + 1)
        kernel = 1 + bisect_left(larger, True, key=lambda k: not self._fits(x, k=k))
        least = max(-(-(slide.missing + slide.before + slide.after) // 2) for slide in slides)
        sensible = "p" in self.arguments() and all(isinstance(n, Symbolic) or least <= n for n in x.shape[1:])
        padding = f"`p={least}`, or " if sensible and self._fits(x, p=least) else ""
        return f"{padding}a kernel of at most {kernel}"

    def _fits(self, x: TensorType, **arguments: int) -> bool:
        """Whether a window would fit if the layer had other arguments."""
        try:
            return not any(slide.missing for slide in type(self)(**{**self.arguments(), **arguments}).slides(x))
        except LayerError:
            return False


def need_image(layer: Layer, x: TensorType) -> None:
    """Refuse an input without channels and 1 to 3 spatial dimensions, or of a type that ONNX has no windows for."""
    need_rank(layer, x, 2, 4, "channels and 1 to 3 spatial dimensions")
    need_float(layer, x, bfloat16=False)


def per_side(p: int | tuple[int, ...], rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The margins before and after each of `rank` spatial dimensions."""
    if isinstance(p, tuple) and len(p) == 2 * rank:
        return p[:rank], p[rank:]
    if isinstance(p, tuple) and len(p) != rank:
        raise LayerError(
            "E0401",
            f"`p` has {len(p)} numbers, and the input has {spatial(rank)}",
            argument="p",
            help=f"give 1, {rank} (one for each dimension) or {2 * rank} (all sides before, then all sides after)",
        )
    both = per_dimension(p, rank, "p")
    return both, both


def torch_margins(before: tuple[int, ...], after: tuple[int, ...]) -> list[int]:
    """Margins in the order of torch.nn.functional.pad: before and after for each dimension, the last one first."""
    return [side for pair in zip(before[::-1], after[::-1], strict=True) for side in pair]
