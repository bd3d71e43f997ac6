"""Every difference between the supported versions of torch (1.8 to 2.13), in one place."""

import contextlib
import re
from typing import Any, Callable, ContextManager, Dict, Mapping, Optional, Tuple

import torch
import torch.utils.checkpoint


def parse_version(text: str) -> Tuple[int, int]:
    """Major and minor number of a version such as `2.13.0+cpu`."""
    found = re.match(r"(\d+)\.(\d+)", text)
    if found is None:
        raise ValueError(f"{text!r} is not a version")
    return int(found.group(1)), int(found.group(2))


TORCH_VERSION = parse_version(torch.__version__)

# torch.inference_mode came with 1.9; no_grad gives the same values, only with a little more bookkeeping.
inference_mode: Callable[[], ContextManager] = getattr(torch, "inference_mode", torch.no_grad)

# torch.load(weights_only=True) exists since 1.13, but before 2.6 a crafted file could run code through it
# (CVE-2025-32434). From a version well above that on, torch's reader is used; below it the project's own.
HAS_SOUND_WEIGHTS_ONLY = TORCH_VERSION >= (2, 10)


def load_weights_only(path: str, stand_ins: Mapping[str, Callable[..., Any]]) -> Any:
    """Read a checkpoint by torch's weights-only unpickler. Only where `HAS_SOUND_WEIGHTS_ONLY`.

    Args:
        path: the file.
        stand_ins: what to call for names that torch does not allow by itself, by `module.name` as a file spells it.
    """
    allowed = [(stand_in, name) for name, stand_in in stand_ins.items()]
    with torch.serialization.safe_globals(allowed):
        return torch.load(path, map_location="cpu", weights_only=True)


def meshgrid(*tensors: torch.Tensor) -> Tuple[torch.Tensor, ...]:
    """`torch.meshgrid` with matrix ("ij") indexing: the only one before 1.10, where the argument came."""
    if TORCH_VERSION >= (1, 10):
        return torch.meshgrid(*tensors, indexing="ij")
    return torch.meshgrid(*tensors)


def autocast(device_type: str, enabled: bool = True, dtype: Optional[torch.dtype] = None) -> ContextManager:
    """Mixed precision for a `with` block; `dtype` None is the device's default.

    Before 1.10 autocast exists on CUDA only and always in half precision; on a CPU it does nothing there.
    """
    if not enabled:
        return contextlib.nullcontext()
    if TORCH_VERSION >= (1, 10):
        return torch.autocast(device_type, dtype=dtype)
    return torch.cuda.amp.autocast() if device_type == "cuda" else contextlib.nullcontext()


def grad_scaler(device_type: str, enabled: bool = True, **settings: Any) -> Any:
    """A gradient scaler for `autocast`. It is switched off by itself where the device is not CUDA.

    Args:
        settings: `init_scale`, `growth_factor`, `backoff_factor`, `growth_interval`, as torch names them.
    """
    enabled = enabled and device_type == "cuda"
    if TORCH_VERSION >= (2, 3):
        return torch.amp.GradScaler(device_type, enabled=enabled, **settings)
    return torch.cuda.amp.GradScaler(enabled=enabled, **settings)


def checkpoint_activations(function: Callable[..., Any], *inputs: torch.Tensor) -> Any:
    """Call `function` without keeping its activations; they are computed again in the backward pass.

    torch asks since 1.11 which of its two ways to take; the re-entrant one is the only one that 1.8 has.
    """
    if TORCH_VERSION >= (1, 11):
        return torch.utils.checkpoint.checkpoint(function, *inputs, use_reentrant=True)
    return torch.utils.checkpoint.checkpoint(function, *inputs)


def count_flops(function: Callable[[], Any]) -> Optional[int]:
    """Floating point operations of a call, counted by torch's own counter, which came with 2.1; None before."""
    if TORCH_VERSION < (2, 1):
        return None
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        function()
    return int(counter.get_total_flops())


# The version of ONNX's operators that the exporter of this torch knows well. From 14 on there is what the attention of
# newer versions of torch needs.
ONNX_OPSET = 14 if TORCH_VERSION >= (2, 0) else 13


def export_onnx(
    module: torch.nn.Module, example: torch.Tensor, path: str, *, opset: int, input_name: str, output_name: str
) -> None:
    """Write a module of one input and one output to an ONNX file, by tracing it on `example`.

    The exporter that traces is the only one before 2.5 and the default before 2.9. Newer versions need the package
    onnx.
    """
    settings: Dict[str, Any] = {"dynamo": False} if TORCH_VERSION >= (2, 5) else {}
    torch.onnx.export(
        module,
        (example,),
        path,
        opset_version=opset,
        input_names=[input_name],
        output_names=[output_name],
        **settings,
    )


def compiled(function: Callable[..., Any]) -> Optional[Callable[..., Any]]:
    """`function` compiled by torch.compile when it is called first; None before 2.0, and where Python is too new for
    the installed torch."""
    if not hasattr(torch, "compile"):
        return None
    try:
        return torch.compile(function)
    except RuntimeError:
        return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory could not be had, on a GPU or the machine. Older versions of torch have no class for it."""
    if isinstance(error, (MemoryError, getattr(torch.cuda, "OutOfMemoryError", MemoryError))):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _OUT_OF_MEMORY)


# Of CUDA, of torch's allocator on a CPU (Linux, Windows), and of the libraries when they make their workspaces.
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
)
