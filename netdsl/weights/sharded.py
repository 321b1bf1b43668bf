"""Checkpoints in several files, with an index that maps tensors to files.

Source: the index files of huggingface's transformers, `model.safetensors.index.json` and
`pytorch_model.bin.index.json`: `{"metadata": ..., "weight_map": {"conv1.weight": "model-00001-of-00002.safetensors"}}`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from netdsl.base.files import read_file
from netdsl.weights.checkpoint import Checkpoint, Tensor, beside, distinct, unusable
from netdsl.weights.opening import open_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from netdsl.base.diagnostics import NetdslError
    from netdsl.weights.initial import Array

MAX_INDEX_BYTES = 2**26
"""The largest size of an index in bytes; this is enough for some 300,000 tensors."""


def read(path: Path) -> Checkpoint:
    """Open the shards that an index names.

    Raises:
        NetdslError: a shard is missing, lies elsewhere, cannot be read, or lacks a tensor (E0901, E0911).
        Exception: it is not an index.
    """
    index = json.loads(read_file(path, MAX_INDEX_BYTES), object_pairs_hook=distinct)
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict) or not places or not all(isinstance(shard, str) for shard in places.values()):
        raise ValueError('expected `"weight_map": {"name of a tensor": "name of a file", ...}`')
    names: dict[str, list[str]] = {}
    for name, shard in places.items():
        names.setdefault(shard, []).append(name)
    shards = _Shards()
    tensors: dict[str, Tensor] = {}
    unread = 0
    kinds = set()
    for shard, expected in names.items():
        checkpoint = shards.open(_file(path, shard))
        kinds.add(checkpoint.kind)
        unread += len(checkpoint.tensors.keys() - set(expected))
        for name in expected:
            if name not in checkpoint.tensors:
                raise _incomplete(path, f"it places `{name}` in `{shard}`, which has no such tensor")
            tensors[name] = replace(checkpoint.tensors[name], read=partial(shards.read, checkpoint.path, name))
        del checkpoint
    note = (f"its files hold {unread} tensors that the index does not name, which are not read",) if unread else ()
    kind = f"{' and '.join(sorted(kinds))} in {len(names)} file{'' if len(names) == 1 else 's'}"
    return Checkpoint(path, kind, {name: tensors[name] for name in places}, note)


class _Shards:
    """Reads tensors from shards, of which at most one is open at a time."""

    def __init__(self) -> None:
        self._current: Checkpoint | None = None

    def open(self, file: Path) -> Checkpoint:
        if self._current is None or self._current.path != file:
            self._current = None  # before the next is read
            self._current = open_checkpoint(file)
        return self._current

    def read(self, file: Path, name: str) -> Array:
        return self.open(file).tensors[name].read()


def _file(path: Path, shard: str) -> Path:
    file = beside(path, shard)
    if file is None or file.suffix == ".json":
        raise _incomplete(path, f"it names `{shard}`, which is not a file of weights beside it")
    if not file.exists():
        raise _incomplete(path, f"it names `{shard}`, and there is no such file beside it")
    return file


def _incomplete(path: Path, problem: str) -> NetdslError:
    return unusable(path, problem, "a sharded checkpoint is one folder: move and copy its files together")
