"""The version of the package, which models carry as their producer's."""

__version__ = "0.2.0"
