"""The version of the package, which is written into models as the version of their producer."""

__version__ = "0.2.0"
