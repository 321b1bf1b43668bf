"""A series of inputs with faults of every kind, for the watching of processes: what an input does is its name."""

import os
import signal
import time

import numpy as np
from fuzzing.outcome import Outcome


def prepare(name):
    if name == "unready":
        raise ValueError("nothing is there")


def attempt(name, _seed, index):
    match name:
        case "dies":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hangs":
            time.sleep(60)
        case "takes memory":
            np.ones(2**28)
        case "raises":
            raise KeyError(index)
        case "is slow":
            end = time.process_time() + 0.2
            while time.process_time() < end:
                pass
    return Outcome("read")
