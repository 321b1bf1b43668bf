"""E04: shapes and element types."""

from netdsl.reference.codes.entry import Code

SHAPES = {
    "E0401": Code(
        "wrong number of dimensions",
        "A layer takes tensors of certain ranks, not counting the batch: a convolution needs channels and 1 to 3 "
        "spatial dimensions. A missing `flatten` before, or one too early, is the usual cause.",
        "net a { input x: 3x8x8; flatten -> conv 4 k3 }\n",
    ),
    "E0402": Code(
        "window larger than the padded input",
        "A kernel must fit into its input, padding included, or there is no output; with dilation d a kernel k "
        "spans d*(k-1) + 1 positions. Add padding, use a smaller kernel, or pool less before this layer.",
        "net a { input x: 3x4x4; conv 8 k7 }\n",
    ),
    "E0403": Code(
        "branches differ in shape",
        "`add`, `mul`, `max`, `mean` and `skip` work element by element, so all branches must have the same shape. "
        "In a skip whose body strides or changes the channels, the shortcut must do the same: `shortcut { conv 4 k1 "
        "s2 }`.",
        "net a { input x: 3x8x8; skip { conv 4 k3 p1 } }\n",
    ),
    "E0404": Code(
        "branches of a concat differ off its axis",
        "`concat` lays branches one after the other along one axis, the channels unless said otherwise; all other "
        "sizes must agree. Give the branches the same padding and stride, or another `axis`.",
        "net a { input x: 3x8x8; concat { conv 4 k3; conv 4 k1 } }\n",
    ),
    "E0405": Code(
        "channels not divisible",
        "Groups take equal parts of the channels, so the number of channels must be divisible by the number of "
        "groups; for a grouped convolution the outputs as well. Choose a divisor of both.",
        "net a { input x: 3x8x8; conv 4 k3 g2 }\n",
    ),
    "E0406": Code(
        "reshape changes the number of elements",
        "`reshape` keeps the elements and their order, so the products of the sizes must be equal. One size may be -1 "
        "and is then computed, if the result is a whole number.",
        "net a { input x: 3x8x8; reshape [10, 10] }\n",
    ),
    "E0407": Code(
        "expect failed",
        "An `expect` promises the shape of the tensor at its place, but the shape is another one. Either a layer above "
        "changed, or the promise is out of date: compare `netdsl summary`.",
        "net a { input x: 3x8x8; conv 4 k3; expect 4x8x8 }\n",
    ),
    "E0408": Code(
        "equality of symbolic sizes cannot be proved",
        "Two sizes must be equal, but are so only for some inputs: after a stride of 2, 2*floor(H/2) is H only for "
        "even H. The message gives the condition that would prove it; add it to the input (`where H % 2 == 0`) or "
        "pad.",
        "net a {\n    input x: 3xHxW\n    add { identity; { maxpool k2 -> upsample 2 } }\n}\n",
    ),
    "E0409": Code(
        "element type not accepted",
        "Convolutions and arithmetic need floats, an embedding needs integers, and branches of a join need the same "
        "type. Declare the input with the type the layer takes: `input tokens: [T] int64`.",
        "net a { input x: 3x8x8 int64; conv 4 k3 }\n",
    ),
    "E0410": Code(
        "reused weights do not fit",
        "`reuse` applies a layer with the weights it already has, so its new input must have the same channels or "
        "features as the first one. Convert the tensor to that shape first, or use a layer with its own weights.",
        "net a { input x: 8; fc: dense 4; reuse fc }\n",
    ),
    "E0411": Code(
        "axis out of range",
        "Axes are counted without the batch: an image has 0 (channels), 1 and 2, or -3 to -1 from the end. Choose "
        "one that the tensor has.",
        "net a { input x: 3x8x8; softmax axis=3 }\n",
    ),
    "E0412": Code(
        "size must be known",
        "Weights have fixed shapes, so a size they depend on cannot be left open. Fix it in the `input`, or pool to "
        "a fixed size before this layer: `adaptive_avgpool 7` or `global_avgpool`.",
        "net a { input x: 3xHxW; flatten -> dense 4 }\n",
    ),
    "E0413": Code(
        "padding larger than half the pool's window",
        "With more padding, some windows of a pool would hold only padding. PyTorch and ONNX refuse this, too. Pad "
        "less, or use a `pad` layer before the pool.",
        "net a { input x: 3x8x8; maxpool k2 p2 }\n",
    ),
    "E0414": Code(
        "position out of range",
        "The selected position must exist: positions and parts count from 0, negative positions from the end. Compare "
        "the shape that `netdsl summary` shows for the layer before.",
        "net a { input x: 3x8x8; select [7] }\n",
    ),
    "E0415": Code(
        "output size not positive",
        "The arguments leave an output of no positions: a crop wider than the tensor, or a deconvolution padded "
        "away. Crop or pad less.",
        "net a { input x: 3x4x4; crop 2 }\n",
    ),
    "E0416": Code(
        "sizes too small for the net",
        "Most layers need some positions to work on: a window must fit into its input, a crop must leave something, a "
        "mean and a deviation need at least two values. If a size stays open, the net declares the smallest size for "
        "which it works (`where T >= 10`); the message gives the bounds for the whole net, and the layer that needs "
        "most.",
        "net a { input x: 4xT; conv 8 k4 d3 }\n",
    ),
}
