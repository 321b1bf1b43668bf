"""What tests of training runs share."""

import pytest
import torch
from small_runs import write_numbers


@pytest.fixture
def one_thread():
    """One thread, so that other processes compute the same to the bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """A folder with the net and the data of small_runs.py; gives the arrays of the data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("netdsl.training.run.works", lambda _: False)  # curves take longer than these runs
    return write_numbers(tmp_path)
