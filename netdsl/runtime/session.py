"""Running models in onnxruntime, only on the requested device.

onnxruntime falls back to the CPU with a warning if it cannot use a device; a `Session` raises an error that names
what is missing.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netdsl.base.diagnostics import NetdslError, fail
from netdsl.base.files import is_standard_input, reading
from netdsl.base.packages import need
from netdsl.ir.constraint import Constraint
from netdsl.ir.deciding import default_gives, default_takes
from netdsl.ir.meaning import MEANING, ORDERS, Gives, Meaning, Pixels, Tokens, from_metadata
from netdsl.runtime.devices import PROVIDERS, Device, need_device, not_loading, providers, unavailable
from netdsl.runtime.foreign import gives_of
from netdsl.runtime.model_files import need_model, read_bytes, read_model
from netdsl.runtime.ports import Port
from netdsl.runtime.sizes import computed, refusal
from netdsl.runtime.taking import taken

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

NUMBERS = ("bool", "bfloat16", "float16", "float32", "float64",
           "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")  # fmt: skip
"""The element types of arrays."""


class Session:
    """A model loaded in onnxruntime.

    Args:
        model: an ONNX file, or `-` for standard input.
        device: `cpu`, `cuda`, `cuda:N`, `tensorrt` or `tensorrt:N`.
        tf32: let CUDA multiply float32 with ten bits of mantissa.
        cuda_graph: record the kernels once and replay them (fixed shapes and addresses only).
        optimize: let onnxruntime rewrite the model before it runs it.
        profile: the prefix of a file for the time of every node.

    Raises:
        NetdslError: the file cannot be read (E0901) or is not a usable model (E0905), the device is not available
            (E0904), or onnxruntime is not installed (E0907).
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        device: str = "cpu",
        *,
        tf32: bool = True,
        cuda_graph: bool = False,
        optimize: bool = True,
        profile: str | None = None,
    ) -> None:
        self.path = Path(model)
        self.device = Device.parse(device)
        ort = _onnxruntime()
        need_model(self.path)
        need_device(ort, self.device)
        options = ort.SessionOptions()
        options.log_severity_level = 4  # errors are raised, and reported by netdsl
        if not optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if profile is not None:
            options.enable_profiling, options.profile_file_prefix = True, profile
        chosen = providers(self.device, tf32=tf32, cuda_graph=cuda_graph)
        content = read_bytes(self.path) if is_standard_input(self.path) else os.fspath(self.path)
        try:
            self.ort = ort.InferenceSession(content, options, providers=chosen, enable_fallback=0)
        except Exception as error:  # onnxruntime's exceptions have no common base class
            raise self._load_error(ort, error) from error
        if self.ort.get_providers()[0] != PROVIDERS[self.device.kind]:
            raise unavailable(self.device, not_loading(ort, self.device) or "onnxruntime could not start it")
        remedy = "compile a net with damaged metadata again"
        with reading(self.path, "E0905", "a model with valid names and metadata", remedy):
            self.metadata: dict[str, str] = dict(self.ort.get_modelmeta().custom_metadata_map)
            self.meaning = from_metadata(self.metadata) or Meaning()
            """The meaning of inputs and outputs, from the metadata."""
            self.inputs = tuple(map(self._input, self.ort.get_inputs()))
            self.outputs = tuple(map(_port, self.ort.get_outputs()))
            if double := [name for name, count in Counter(port.name for port in self.outputs).items() if count > 1]:
                raise ValueError(f"two of its outputs are called `{double[0]}`")
            self.constraints = tuple(map(Constraint.parse, self._texts("netdsl.constraints")))
            """The `where` clauses of the net, which onnxruntime does not check."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names, from the net's `labels`."""
        return self.meaning.labels

    @cached_property
    def known(self) -> Mapping[str, Gives]:
        """The known kinds of outputs: from the metadata, or, of other programs' models, from the last operators."""
        if MEANING in self.metadata:
            return self.meaning.outputs
        try:
            return gives_of(read_model(self.path))
        except NetdslError:  # onnxruntime also reads a format of its own
            return {}

    def gives(self, output: Port) -> Gives:
        """Return the kind of an output; if it is unknown, logits for a vector, and values for all else."""
        return self.known.get(output.name) or default_gives(output.shape[1:])

    def __repr__(self) -> str:
        ports = (", ".join(map(str, ports)) for ports in (self.inputs, self.outputs))
        return f"<model {self.path.name} on {self.device}: {' -> '.join(ports)}>"

    def run(
        self, feeds: Mapping[str, np.ndarray[Any, Any]] | np.ndarray[Any, Any] | None = None, /, **named: Any
    ) -> dict[str, np.ndarray[Any, Any]]:
        """Run the model on one array for each input, the batch included; return the outputs by name.

        The arrays are given by the names of the inputs, as a dictionary or as keywords (`session.run(image=x)`); a
        model with one input also takes the array itself.

        An array of bytes (uint8) holds images if the input takes pixels, N x height x width with channels last or
        first; otherwise it holds numbers. Other arrays are passed to the model as they are; images among them may have
        channels last, too.

        Raises:
            NetdslError: the arrays are not what the model takes (E0906).
            MemoryError: the device has not enough memory.
        """
        ports = {port.name: port for port in self.inputs}
        if feeds is not None and not isinstance(feeds, Mapping):
            if len(ports) != 1:
                raise self.input_error(f"expected an array for each of {len(ports)} inputs, got one array",
                                       "name them: `session.run({'name': array, ...})`")  # fmt: skip
            feeds = {next(iter(ports)): feeds}
        feeds = {**(feeds or {}), **named}
        feeds = {name: taken(array, ports[name]) if name in ports else array for name, array in feeds.items()}
        self.need_feeds(feeds)
        try:
            results = self.ort.run(None, feeds)
        except Exception as error:  # onnxruntime's exceptions have no common base class
            raise self.run_error(error) from error
        return {port.name: result for port, result in zip(self.outputs, results, strict=True)}

    def need_feeds(self, feeds: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Refuse arrays that are not what the model takes (E0906)."""
        wanted = {port.name for port in self.inputs}
        if missing := wanted - set(feeds):
            raise self.input_error(f"there are no data for {_names(missing)}")
        if extra := set(feeds) - wanted:
            raise self.input_error(f"the model has no input {_names(extra)}")
        sizes: dict[str, int] = {}
        for port in self.inputs:
            array = feeds[port.name]
            if array.dtype.name != port.dtype:
                raise self.input_error(f"expected {port.dtype} for `{port.name}`, got {array.dtype.name}")
            given = "x".join(map(str, array.shape)) or "a scalar"
            if array.ndim != len(port.shape):
                raise self.input_error(
                    f"expected {len(port.shape)} dimensions for `{port.name}`, got {array.ndim} ({given})"
                )
            for axis, (size, expected) in enumerate(zip(array.shape, port.shape, strict=True)):
                known = sizes.setdefault(expected, size) if isinstance(expected, str) else expected
                if size != known:
                    raise self.input_error(
                        f"expected size {known} along axis {axis} of `{port.name}`, got {size} (in {given})"
                    )
            if isinstance(port.asks, Tokens) and (problem := port.asks.misfit(array)) is not None:
                raise self.input_error(
                    f"`{port.name}` takes {problem}",
                    "give the numbers that the net was trained with; its vocabulary has no other",
                )
        if "netdsl.version" in self.metadata:
            self._need_formulas(sizes)
        if refused := refusal(self.constraints, sizes):
            raise self.input_error(*refused)

    def _need_formulas(self, sizes: Mapping[str, int]) -> None:
        """Refuse sizes that differ from their formula; only models of netdsl have formulas as names of sizes."""
        for text, size in sizes.items():
            value = computed(text, sizes)
            if value is not None and value != size:
                raise self.input_error(f"expected size {text} = {value}, got {size}")

    def need_open(self, names: Iterable[str]) -> None:
        """Refuse names of sizes, other than the batch, that the model does not leave open (E0906)."""
        left = {size for port in self.inputs for size in port.shape[1:] if isinstance(size, str)}
        if unknown := set(names) - left:
            raise self.input_error(f"there is no open size {_names(unknown)}")

    def input_error(self, message: str, remedy: str | None = None) -> NetdslError:
        """Return E0906 with a list of the model's inputs."""
        notes = tuple(f"the model takes {port}" for port in self.inputs)
        if self.constraints:
            notes += (f"where {', '.join(constraint.text for constraint in self.constraints)}",)
        return fail("E0906", f"`{self.path}`: {message}", notes=notes, help=remedy)

    def run_error(self, error: Exception) -> Exception:
        """Return the error to raise for an error of onnxruntime while a model runs."""
        text = str(error)
        if "Failed to allocate memory" in text or "bad_alloc" in text or "out of memory" in text:
            return MemoryError(f"{self.device} has not enough memory for this batch")
        return self.input_error(f"onnxruntime cannot run this: {_reason(error)}")

    def need_samples(self) -> None:
        """Refuse a model without numeric inputs and outputs that have a batch axis (E0906)."""
        for ports, verb in ((self.inputs, "take"), (self.outputs, "give")):
            if not ports:
                raise self.input_error(f"expected a model that {verb}s something for each sample, got one without "
                                       f"{'inputs' if verb == 'take' else 'outputs'}")  # fmt: skip
            for port in ports:
                if port.dtype not in NUMBERS:
                    raise self.input_error(f"expected a model that {verb}s tensors of numbers, got {port}")
        if not (port := self.inputs[0]).shape:
            raise self.input_error(f"expected an input with a shape, the batch first, got {port}",
                                   "export the model with the shapes of its inputs")  # fmt: skip

    def need_rows(self, results: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Refuse results without a batch axis (E0906); a model need not declare the shapes of its outputs."""
        for name, result in results.items():
            if not result.ndim:
                raise self.input_error(f"expected an output with an entry for each sample, got a scalar in `{name}`")

    def _texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts in the metadata."""
        found = json.loads(self.metadata.get(key, "[]"))
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise ValueError(f"expected a list of texts in `{key}`, got {str(found)[:100]}")
        return tuple(found)

    def _input(self, argument: Any) -> Port:
        port = _port(argument)
        takes = self.meaning.inputs.get(port.name)
        default = default_takes(port.shape[1:], port.dtype)
        if isinstance(takes, Pixels) and not (isinstance(default, Pixels) and ORDERS[takes.order] == port.shape[1]):
            raise ValueError(f"`{takes}` does not fit {port}")
        if isinstance(takes, Tokens) and "int" not in port.dtype:
            raise ValueError(f"`{takes}` does not fit {port}")
        if isinstance(takes, Tokens) and takes.counts:
            size = port.shape[takes.axis + 1] if takes.axis + 1 < len(port.shape) else 0
            if size != len(takes.counts):
                raise ValueError(f"tables for {len(takes.counts)} positions do not fit {port}")
        return replace(port, takes=takes)

    def _load_error(self, ort: Any, error: Exception) -> NetdslError:
        """Return why onnxruntime did not load the model, or start the device."""
        text = str(error)
        if self.device.kind != "cpu" and any(word in text for word in ("ExecutionProvider", "CUDA", "TensorRT")):
            return unavailable(self.device, not_loading(ort, self.device) or _reason(error))
        if _without_outputs(self.path):
            return fail("E0905", f"expected a model with outputs, got `{self.path}` without any",
                        help="export it with its outputs")  # fmt: skip
        if "xternal" in text and "data" in text.lower():
            return fail(
                "E0905",
                f"the weights file of `{self.path}` is missing or too short: {_reason(error)}",
                help="a model larger than 2 GB keeps its weights in a second file, which must lie beside it",
            )
        if "IR version" in text or "opset" in text:
            return fail(
                "E0905",
                f"`{self.path}` is newer than onnxruntime {ort.__version__} can read: {_reason(error)}",
                help="`pip install -U onnxruntime`, or write the model with a lower opset",
            )
        if "Protobuf parsing failed" in text:
            return fail(
                "E0905",
                f"`{self.path}` is not a whole ONNX model: it was cut short, or is something else",
                help="write or download it again",
            )
        return fail("E0905", f"onnxruntime cannot load `{self.path}`: {_reason(error)}")


def _onnxruntime() -> Any:
    onnxruntime = need("onnxruntime", "running a model")
    onnxruntime.set_default_logger_severity(4)
    return onnxruntime


def _without_outputs(path: Path) -> bool:
    """Whether a model that onnxruntime refuses has no outputs; its own message does not say so."""
    with suppress(NetdslError):
        return not read_model(path).graph.output
    return False


_CPP_PLACE = re.compile(
    r"""[\w/.+-]+\.(?:cc|cpp|h):\d+\ +                                      # file and line, and then either
    (?:[^()]*::[^()]*\((?:[^()]|\([^()]*\))*\)(?:::\S+)?(?:\ const)?|\w+)\ +  # a whole signature or a bare name""",
    re.VERBOSE,
)


def _reason(error: Exception) -> str:
    """Return the informative part of an onnxruntime message, on one line, without locations in C++."""
    line = _CPP_PLACE.sub("", " ".join(str(error).split()))
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .* failed:)?", "", line)[:300]


def _port(argument: Any) -> Port:
    shape = tuple(size if size is not None else f"{argument.name}.{axis}" for axis, size in enumerate(argument.shape))
    name = argument.type.removeprefix("tensor(").removesuffix(")")
    return Port(argument.name, shape, {"float": "float32", "double": "float64"}.get(name, name))


def _names(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
