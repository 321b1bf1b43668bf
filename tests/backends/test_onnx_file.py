"""Files of models: their bytes, their memory, and what is left when writing does not come to its end."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
from graphs import Sketch, chain, run_model, sample
from trained import trained

from netdsl.backends.onnx import file as onnx_file
from netdsl.backends.onnx.file import assemble, write
from netdsl.backends.onnx.lower import lower
from netdsl.base.diagnostics import NetdslError
from netdsl.base.files import BYTES_WRITTEN_AT_ONCE, whole_file, write_pieces
from netdsl.ir.graph import Graph, Scope
from netdsl.ir.params import Init, Param, ParamSpec
from netdsl.ir.types import DType
from netdsl.layers.activation import Relu
from netdsl.layers.conv import Conv
from netdsl.layers.linear import Dense
from netdsl.layers.merge import Add
from netdsl.layers.norm import BatchNorm
from netdsl.layers.shape import Flatten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netdsl.backends.onnx.lower import LoweredModel

TESTS = Path(__file__).parents[1]


def small() -> Graph:
    sketch = Sketch(3, 8, 8, name="small")
    conv = sketch.add("block.conv", Conv(4, 3, p=1), scope=Scope("block", sketch.root, block="unit"))
    sketch.add("bn", BatchNorm())
    sketch.add("add", Add(), conv, sketch.nodes[-1])
    sketch.add("flatten", Flatten())
    sketch.add("fc", Dense(5))
    return sketch.graph()


def with_params(*params: Param) -> LoweredModel:
    """A model that has these parameters and reads none of them."""
    lowered = lower(chain((2,), Relu()))
    return replace(lowered, params=list(params))


def same_weights(model: onnx.ModelProto, lowered: LoweredModel) -> None:
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for param in lowered.params:
        want = trained(param)
        assert arrays[param.name].dtype == want.dtype
        np.testing.assert_array_equal(arrays[param.name], want)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_bytes_are_those_of_protobuf(tmp_path: Path) -> None:
    lowered = lower(small())
    write(lowered, tmp_path / "model.onnx", trained)
    written = (tmp_path / "model.onnx").read_bytes()
    assert written == assemble(lowered, trained).SerializeToString(deterministic=True)
    assert files(tmp_path) == ["model.onnx"]
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    same_weights(model, lowered)


def test_onnxruntime_reads_the_file(tmp_path: Path) -> None:
    lowered = lower(small())
    for external in (False, True):
        path = tmp_path / f"{external}.onnx"
        write(lowered, path, trained, external=external)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (result,) = session.run(None, {"x": sample(2, 3, 8, 8)})
        (expected,) = run_model(assemble(lowered, trained), sample(2, 3, 8, 8))
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [d for d in DType if d is not DType.BFLOAT16])
@pytest.mark.parametrize("shape", [(), (1,), (3, 0x80), (2, 3, 4, 5)])
def test_element_types_and_shapes(dtype: DType, shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 2, shape).astype(dtype.value)
    lowered = with_params(Param("first", ParamSpec(shape, Init.constant(0), dtype=dtype)))
    for external in (False, True):
        write(lowered, tmp_path / "model.onnx", lambda _: values, external=external)
        read = onnx.numpy_helper.to_array(onnx.load(tmp_path / "model.onnx").graph.initializer[0])
        assert (read.dtype, read.shape) == (values.dtype, shape)
        np.testing.assert_array_equal(read, values)


def test_bfloat16_weights(tmp_path: Path) -> None:
    lowered = with_params(Param("w", ParamSpec((4,), Init("weight", 4), dtype=DType.BFLOAT16)))
    write(lowered, tmp_path / "model.onnx", lambda _: np.float32([1.0, -2.5, 0.15625, 3.0]))
    (tensor,) = onnx.load(tmp_path / "model.onnx").graph.initializer
    assert onnx.numpy_helper.to_array(tensor).astype(np.float32).tolist() == [1.0, -2.5, 0.15625, 3.0]


def test_weights_are_converted_and_made_contiguous(tmp_path: Path) -> None:
    lowered = with_params(Param("w", ParamSpec((3, 4), Init("weight", 4))))
    big_endian = np.arange(12, dtype=">f8").reshape(4, 3).T
    write(lowered, tmp_path / "model.onnx", lambda _: big_endian)
    (tensor,) = onnx.load(tmp_path / "model.onnx").graph.initializer
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor), big_endian.astype(np.float32))


def test_weights_of_a_wrong_shape_are_refused(tmp_path: Path) -> None:
    lowered = with_params(Param("w", ParamSpec((3, 4), Init("weight", 4))))
    with pytest.raises(ValueError, match=r"expected weights of w of shape \(3, 4\), got \(4, 3\)"):
        write(lowered, tmp_path / "model.onnx", lambda _: np.zeros((4, 3)))
    assert not files(tmp_path)


def test_external_data(tmp_path: Path) -> None:
    lowered = lower(small())
    write(lowered, tmp_path / "model.onnx", trained, external=True)
    assert files(tmp_path) == ["model.onnx", "model.onnx.data"]
    bare = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    for tensor in bare.graph.initializer:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        assert entries["location"] == "model.onnx.data"
        assert int(entries["offset"]) % 4096 == 0
        assert not tensor.raw_data
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    same_weights(onnx.load(tmp_path / "model.onnx"), lowered)


def test_the_limit_of_protobuf_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lowered = lower(small())
    write(lowered, tmp_path / "a.onnx", trained)
    size = (tmp_path / "a.onnx").stat().st_size
    monkeypatch.setattr(onnx_file, "MAX_MESSAGE_BYTES", size)
    write(lowered, tmp_path / "b.onnx", trained)
    write(lowered, tmp_path / "b.onnx", trained, external=False)
    monkeypatch.setattr(onnx_file, "MAX_MESSAGE_BYTES", size - 1)
    write(lowered, tmp_path / "c.onnx", trained)
    assert files(tmp_path) == ["a.onnx", "b.onnx", "c.onnx", "c.onnx.data"]
    with pytest.raises(NetdslError, match=rf"E0902.*cannot hold {size} bytes"):
        write(lowered, tmp_path / "d.onnx", trained, external=False)


SCRIPT = """
import sys
from graphs import *
from netdsl.backends.onnx.lower import lower
from netdsl.backends.onnx.file import write
from netdsl.layers.conv import Conv
from netdsl.layers.norm import BatchNorm
from netdsl.passes import optimize
from netdsl.weights.initial import Initializer
"""


def python(script: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(TESTS / "support"), str(TESTS.parent)])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT + script, *map(str, arguments)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": paths} | environment,
    )  # fmt: skip


def test_every_process_writes_the_same_bytes(tmp_path: Path) -> None:
    script = """
graph = optimize(chain((3, 16, 16), *[Conv(8, 3, p=1), BatchNorm()] * 20), 1)
write(lower(graph), sys.argv[1], Initializer("he", 3), external=True)
write(lower(graph), sys.argv[1] + "2", Initializer("he", 3))
"""
    for seed in ("1", "2"):
        process = python(script, tmp_path / f"model{seed}", PYTHONHASHSEED=seed)
        assert process.communicate()[1] == ""
    for suffix in ("2", ".data"):
        first, second = ((tmp_path / f"model{seed}{suffix}").read_bytes() for seed in "12")
        assert first == second


def test_memory_stays_near_the_largest_tensor(tmp_path: Path) -> None:
    script = """
import resource
model = lower(chain((2, 1, 1), *[Conv(2000, 1)] * 10))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
write(model, sys.argv[1], Initializer())
print(peak() - before)
"""
    out, error = python(script, tmp_path / "model.onnx").communicate()
    assert (tmp_path / "model.onnx").stat().st_size > 140e6, error
    assert float(out) < 50  # MiB; the largest tensor has 16


def test_a_killed_process_leaves_no_file_under_the_name(tmp_path: Path) -> None:
    script = """
import time
def weights(param):
    if param.name == "l1.weight":
        print("writing", flush=True)
        time.sleep(60)
    return Initializer()(param)
write(lower(chain((3, 8, 8), Conv(256, 3, p=1), Conv(8, 3))), sys.argv[1], weights)
"""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"what was there")
    process = python(script, path)
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert path.read_bytes() == b"what was there"
    assert [name for name in files(tmp_path) if not name.startswith(".")] == ["model.onnx"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("external", [False, True])
def test_an_exception_leaves_all_as_it_was(error: type[BaseException], external: bool, tmp_path: Path) -> None:
    def weights(param: Param) -> np.ndarray:
        if param.name == "fc.weight":
            raise error
        return trained(param)

    path = tmp_path / "model.onnx"
    path.write_bytes(b"what was there")
    with pytest.raises(error):
        write(lower(small()), path, weights, external=external)
    assert files(tmp_path) == ["model.onnx"]
    assert path.read_bytes() == b"what was there"


@pytest.mark.parametrize("external", [False, True])
def test_a_full_disk(external: bool, tmp_path: Path) -> None:
    script = """
import resource, pathlib
from netdsl.base.diagnostics import NetdslError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # what follows is refused, as by a full disk
model = lower(chain((3, 8, 8), Conv(256, 3), Conv(256, 3)))
try:
    write(model, sys.argv[1], Initializer(), external=sys.argv[2] == "True")
except NetdslError as error:
    print(error.diagnostics[0].code, error.diagnostics[0].message)
"""
    out, error = python(script, tmp_path / "model.onnx", external).communicate()
    assert out.startswith("E0903 no space left to write"), error
    assert not files(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_space_that_runs_out_at_the_end(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NetdslError, match="E0903"):
        write(lower(small()), tmp_path / "model.onnx", trained)
    assert not files(tmp_path)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NetdslError, match=rf"E0902.*no directory `{tmp_path}/a/b`\n.*mkdir -p {tmp_path}/a/b"):
        write(lower(small()), tmp_path / "a" / "b" / "model.onnx", trained)


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (tmp_path, fifo, Path("/dev/null")):
        with pytest.raises(NetdslError, match=f"E0902.*`{path}`: it is not a file"):
            write(lower(small()), path, trained)
    assert files(tmp_path) == ["fifo"]


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """A directory that may not be written to, whoever runs the tests."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    user = os.geteuid()
    os.seteuid(user or 65534)  # root may write everywhere
    try:
        yield folder
    finally:
        os.seteuid(user)


def test_a_directory_that_may_not_be_written_to(locked: Path) -> None:
    with pytest.raises(NetdslError, match=f"E0902.*`{locked}` may not be written to"):
        write(lower(small()), locked / "model.onnx", trained)


def test_a_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NetdslError, match=r"E0902.*not a directory"):
        write(lower(small()), tmp_path / "file" / "model.onnx", trained)


def test_failing_to_read_is_not_failing_to_write(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "model.onnx"):
        (tmp_path / "weights").read_bytes()
    assert not files(tmp_path)


def test_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write(lower(small()), tmp_path / "model.onnx", trained)
    assert (tmp_path / "model.onnx").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("advised", [True, False])
def test_pieces_end_up_whole_and_in_order(advised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not advised:  # as where the system takes no advice
        monkeypatch.delattr(os, "posix_fadvise")
    data = np.random.default_rng(0).bytes(3 * BYTES_WRITTEN_AT_ONCE + 17)
    with whole_file(tmp_path / "file") as file:
        file.write(b"head")
        write_pieces(file, memoryview(data))
        file.write(b"tail")
    assert (tmp_path / "file").read_bytes() == b"head" + data + b"tail"
