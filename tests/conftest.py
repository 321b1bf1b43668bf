"""What all tests share."""

import os

from hypothesis import settings

import netdsl.ir.invariants

netdsl.ir.invariants.always = True  # every graph is held to its invariants, after elaboration and after every pass

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores; threads that wait for each other only take them
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile(
    "netdsl", deadline=None, derandomize=True
)  # the same examples every time, however slow the machine
settings.load_profile("netdsl")
