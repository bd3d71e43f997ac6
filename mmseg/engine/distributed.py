"""Training and evaluation in several processes: starting them, and the few collectives that are needed.

Without a process group every function here is the identity, so the callers need no second path for one process.
"""

import os
import pickle
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, List, Optional, Sequence, Tuple

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch import nn


@dataclass(frozen=True)
class Rank:
    """Which process this is: `rank` of `world_size`, working on `device`."""

    rank: int = 0
    world_size: int = 1
    device: str = "cpu"

    @property
    def is_main(self) -> bool:
        return self.rank == 0


def current_rank(device: str = "cpu") -> Rank:
    """The place of this process in the initialised group (started by `launch` or by torchrun); alone without one."""
    if dist.is_available() and dist.is_initialized():
        return Rank(dist.get_rank(), dist.get_world_size(), str(device))
    return Rank(device=str(device))


def all_reduce_sum(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of the processes' tensors of one shape, as a new tensor on the given one's device."""
    return _all_reduce(tensor)


def all_reduce_mean(tensor: torch.Tensor) -> torch.Tensor:
    """The mean of the processes' floating point tensors of one shape."""
    return _all_reduce(tensor) / world_size()


def any_rank(flag: bool) -> bool:
    """Whether the flag is true in at least one process; the same answer in all."""
    if world_size() == 1:
        return flag
    return bool(_all_reduce(torch.tensor(int(flag))).item())


def world_size() -> int:
    """The number of processes in the group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def barrier() -> None:
    """Wait until all processes are here."""
    if world_size() > 1:
        _all_reduce(torch.zeros(1))


def broadcast_buffers(model: nn.Module) -> None:
    """Give every process the buffers (running statistics) of the first, which are those that are saved."""
    if world_size() == 1:
        return
    for buffer in model.buffers():
        dist.broadcast(buffer, src=0)


def _all_reduce(tensor: torch.Tensor) -> torch.Tensor:
    if world_size() == 1:
        return tensor.clone()
    on_gpu = dist.get_backend() == "nccl"
    result = tensor.detach().to("cuda" if on_gpu else "cpu", copy=True)
    dist.all_reduce(result)
    return result.to(tensor.device)


def launch(
    function: Callable[..., Any],
    world_size: int,
    args: Tuple[Any, ...] = (),
    backend: Optional[str] = None,
    devices: Optional[Sequence[str]] = None,
) -> Any:
    """Run `function(rank, *args)` in `world_size` processes of one group and return what the first one returned.

    With a world of 1 it runs in this process. Otherwise the processes are spawned, so `function` must be importable by
    name and the arguments, the result and exceptions must pickle. `devices` names one device a process (default: the
    CPU); `backend` is nccl when these are GPUs, else gloo.

    When a process fails the others are ended, and its exception is raised here, of the same type and with the same
    message; the process's traceback is its cause.
    """
    devices = list(devices) if devices is not None else ["cpu"] * world_size
    if world_size < 1 or len(devices) != world_size:
        raise ValueError(f"{world_size} processes need as many devices, at least one, not {devices}")
    if world_size == 1:
        return function(Rank(device=devices[0]), *args)
    if backend is None:
        backend = "nccl" if all(device.startswith("cuda") for device in devices) else "gloo"
    with tempfile.TemporaryDirectory(prefix="mmseg-launch-") as folder:
        context = multiprocessing.start_processes(
            _child,
            args=(function, args, backend, devices, folder, max(1, torch.get_num_threads() // world_size)),
            nprocs=world_size,
            join=False,
            start_method="spawn",
        )
        try:
            while not context.join():
                pass
        except Exception as error:
            _raise_first_failure(folder, error)
        finally:
            for process in context.processes:
                if process.is_alive():
                    process.terminate()
                process.join()
        if not _result_file(folder).exists():
            raise RuntimeError("the processes ended before the first one returned a result; they were interrupted")
        return pickle.loads(_result_file(folder).read_bytes())


class ChildTraceback(Exception):
    """The traceback of an exception that was raised in another process, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _child(
    index: int,
    function: Callable[..., Any],
    args: Tuple[Any, ...],
    backend: str,
    devices: List[str],
    folder: str,
    threads: int,
) -> None:
    rank = Rank(index, len(devices), devices[index])
    if rank.device.startswith("cuda"):
        torch.cuda.set_device(rank.device)
    else:
        # The processes share the threads that this one alone would use; more would be in one another's way.
        torch.set_num_threads(threads)
    try:
        store = Path(folder, "store").as_uri()
        dist.init_process_group(backend, init_method=store, rank=index, world_size=rank.world_size)
        result = function(rank, *args)
        if rank.is_main:
            _result_file(folder).write_bytes(pickle.dumps(result))
        dist.barrier()  # no process leaves while another still talks to it
        dist.destroy_process_group()
    except Exception as error:
        _write_failure(folder, index, error)
        raise


def _result_file(folder: str) -> Path:
    return Path(folder, "result.pickle")


def _write_failure(folder: str, index: int, error: Exception) -> None:
    text = traceback.format_exc()
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an exception of any library may fail to pickle in any way
        error = RuntimeError(f"{type(error).__name__}: {error}")
    # Written beside and renamed, because this process may be ended at any moment once another has failed.
    partial = Path(folder, f"failure-{index}.partial")
    partial.write_bytes(pickle.dumps((time.monotonic(), error, text)))
    os.replace(partial, Path(folder, f"failure-{index}.pickle"))


def _raise_first_failure(folder: str, error: Exception) -> None:
    if isinstance(error, multiprocessing.ProcessExitedException):
        raise error  # ended by a signal, for example for want of memory; it could not say anything itself
    # The first one in time: the others fail because a process they wait for has gone.
    failures = [pickle.loads(path.read_bytes()) for path in Path(folder).glob("failure-*.pickle")]
    if not failures:
        raise error
    _, original, text = min(failures, key=lambda failure: failure[0])
    raise original from ChildTraceback(text)
