"""Nets of the zoo by hand in plain PyTorch, layers in the order of the data: what their `.net` files must be."""

from functools import partial

from zoo_peers.named import NAMED
from zoo_peers.parts import Joined
from zoo_peers.plain import all_cnn, maxout_cnn, maxout_mlp, nin, simplenet
from zoo_peers.residual import densenet_bc, mobilenet, resnet_cifar, se_resnet
from zoo_peers.searched import EnasMacro, EnasMicro, NasNetA
from zoo_peers.sequences import SEQUENCES, SHORT
from zoo_peers.small import (
    Features,
    MultiLabel,
    Siamese,
    TenCrop,
    UNet,
    autoencoder,
    average_of,
    c3d,
    column,
    dcgan_discriminator,
    dcgan_generator,
    tcn,
)

PEERS = {
    "nin": nin,
    "all_cnn": all_cnn,
    "simplenet": simplenet,
    "maxout_mlp": maxout_mlp,
    "maxout_cnn": maxout_cnn,
    "densenet_bc_100_12": lambda: densenet_bc(100, 12),
    "densenet_bc_250_24": lambda **_: densenet_bc(250, 24),
    "densenet_bc_190_40": lambda **_: densenet_bc(190, 40),
    "mobilenet": lambda: mobilenet(32),
    "mobilenet_075": lambda: mobilenet(24),
    "mobilenet_050": lambda: mobilenet(16),
    "mobilenet_025": lambda: mobilenet(8),
    "nasnet_a": NasNetA,
    "enas_macro": EnasMacro,
    "enas_micro": EnasMicro,
    "unet": lambda **_: UNet(0),
    "unet_same": lambda **_: UNet(1),
    "tcn": tcn,
    "c3d": c3d,
    "autoencoder": autoencoder,
    "dcgan_generator": dcgan_generator,
    "dcgan_discriminator": dcgan_discriminator,
    "mcdnn": lambda: Joined(average_of, *(column() for _ in range(5))),
    "ten_crop": TenCrop,
    "siamese": Siamese,
    "features": Features,
    "multilabel": MultiLabel,
    **{f"resnet{depth}": partial(resnet_cifar, depth) for depth in (20, 32, 44, 56, 110)},
    "se_resnet50": lambda: se_resnet([3, 4, 6, 3]),
    **NAMED,
    **SEQUENCES,
}
"""Each by its name in the zoo."""

ARGUMENTS = {
    "densenet_bc_250_24": {"size": 16},
    "densenet_bc_190_40": {"size": 16},
    "unet": {"size": 188},
    "unet_same": {"size": 64},
    "siamese": {"size": 65},
    "c3d": {"size": 32},
    "efficientnet_b5": {"size": 96, "deeper": 1},
    "efficientnet_v2_s": {"size": 96, "depths": [2, 2, 1, 1, 2, 2, 0]},
    "enas_macro": {"width": 24},
    **SHORT,
}
"""With which the largest nets are run; they are counted without."""
