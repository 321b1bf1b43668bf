"""What tests of files of weights share."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path, monkeypatch, request):
    """A folder with small.net, the net `NET` of the file of tests."""
    monkeypatch.chdir(tmp_path)
    Path("small.net").write_text(request.module.NET, encoding="utf-8")
    return tmp_path
