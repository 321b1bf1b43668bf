"""What all tests share."""

from hypothesis import settings

settings.register_profile(
    "netdsl", deadline=None, derandomize=True
)  # the same examples every time, however slow the machine
settings.load_profile("netdsl")
