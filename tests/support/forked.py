"""The program in processes that have its packages already, to be killed and interrupted."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

import torch

from netdsl.cli import main

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["netdsl.training.run", "netdsl.training.samples.opening", "onnx", "pytest"])


def start(*words):
    """Start a command in this folder, in one thread; its output goes to `printed_by` of the process."""
    process = PROCESSES.Process(target=_command, args=(words, str(Path.cwd())))
    process.start()
    return process


def printed_by(process):
    return Path(f"printed{process.pid}.txt")


def _command(words, folder):
    os.chdir(folder)
    torch.set_num_threads(1)
    sys.stdout = sys.stderr = Path(f"printed{os.getpid()}.txt").open("a")  # noqa: SIM115 - the process ends with it
    main(list(words))
