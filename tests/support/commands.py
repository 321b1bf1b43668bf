"""The commands of netdsl in this process and in others, and the errors that calls of its API raise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from netdsl.base.diagnostics import NetdslError
from netdsl.cli import main

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "NETDSL_DEBUG")}
ENVIRONMENT["PYTHONPATH"] = str(ROOT)
"""For programs that import this netdsl and print as they do to users."""


def run(*args, code=0):
    """Run a command in this process; gives what it printed on stdout and stderr."""
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.stdout, result.stderr


def process(*args, **options):
    """Start the program as users do."""
    command = [sys.executable, "-m", "netdsl", *map(str, args)]
    return subprocess.Popen(command, **{"env": ENVIRONMENT, "stderr": subprocess.PIPE, "text": True} | options)


def python(code, **environment):
    """What a Python program prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=ENVIRONMENT | environment, capture_output=True, text=True, check=True).stdout


def error(code, call, *args, **options):
    """The one diagnostic of a call that fails with this code; it has a remedy."""
    with pytest.raises(NetdslError) as raised:
        call(*args, **options)
    (found,) = raised.value.diagnostics
    assert found.code == code
    assert found.help
    return found
