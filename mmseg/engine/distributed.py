"""Training and evaluation in several processes: starting or joining them, and the few collectives that are needed.

Without a process group every function here is the identity, so the callers need no second path for one process.
"""

import os
import pickle
import signal
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Callable, List, NoReturn, Optional, Sequence, Tuple

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch import nn

from mmseg.allocator import keep_freed_memory
from mmseg.engine.group_failures import (
    ChildTraceback,
    GroupFailures,
    describe_failure,
    is_lost_connection,
    read_failure,
)
from mmseg.engine.group_place import GroupPlace
from mmseg.errors import OutOfMemoryError
from mmseg.termination import StopRequest, raise_on_signals

# For what all processes do at the same time, an evaluation of uneven shares included.
_PATIENCE = timedelta(hours=2)
# For what only the first one does: converting a large data set can take hours.
_LONG_PATIENCE = timedelta(days=7)
_JOINING = timedelta(minutes=30)
# In seconds, for processes to end after one of them has ended as it was asked to, or has failed.
_PATIENCE_WITH_THE_REST = 60.0
_PATIENCE_AFTER_A_FAILURE = 5.0


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


def from_first(function: Callable[[], Any]) -> Any:
    """Call `function` in the first process only, and return in all what it returned there, which must pickle.

    The others wait for days if they must. When it raises, that process ends, and so does the waiting.
    """
    if world_size() == 1:
        return function()
    group = dist.new_group(backend="gloo", timeout=_LONG_PATIENCE)
    held = [function() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(held, src=0, group=group)
    return held[0]


class Ballot:
    """Questions on which all processes must agree, asked so often that no GPU may be waited for: over gloo.

    Every process must make one at the same time, and ask at the same times.
    """

    def __init__(self) -> None:
        over_gpu = world_size() > 1 and dist.get_backend() == "nccl"
        self._group = dist.new_group(backend="gloo", timeout=_PATIENCE) if over_gpu else None

    def any(self, *flags: bool) -> Tuple[bool, ...]:
        """For each of the flags, whether it is true in at least one process."""
        if world_size() == 1:
            return tuple(bool(flag) for flag in flags)
        votes = torch.tensor([int(flag) for flag in flags])
        dist.all_reduce(votes, **({"group": self._group} if self._group is not None else {}))
        return tuple(bool(vote) for vote in votes)


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
    place: Optional[GroupPlace] = None,
) -> Any:
    """Run `function(rank, *args)` in `world_size` processes of one group and return what the first one returned.

    With a world of 1 it runs in this process. Otherwise the processes are spawned, so `function` must be importable by
    name and the arguments, the result and exceptions must pickle. `devices` names one device a process (default: the
    CPU); `backend` is nccl when these are GPUs, else gloo.

    With `place` a launcher has started the processes already, and all of them call this: this one joins the group and
    runs the function as its rank. Then the size of the world is that of `place`, `devices` are those of this machine
    (a single "cpu" serves all its processes), and the result is None in all processes but the first.

    When a process fails the others are ended, and its exception is raised here, of the same type and with the same
    message; the process's traceback is its cause. A signal that asks this process to end is handed on to those that it
    spawned, and waits for them.

    Raises:
        OutOfMemoryError: the system killed a process.
    """
    devices = list(devices) if devices is not None else ["cpu"] * world_size
    if place is not None:
        return _join(place, function, args, backend, _device_of(place, devices))
    if world_size < 1 or len(devices) != world_size:
        raise ValueError(f"{world_size} processes need as many devices, at least one, not {devices}")
    if world_size == 1:
        return function(Rank(device=devices[0]), *args)
    with tempfile.TemporaryDirectory(prefix="mmseg-launch-") as folder:
        context = multiprocessing.start_processes(
            _child,
            args=(function, args, _backend(backend, devices), devices, folder, _threads_each(world_size)),
            nprocs=world_size,
            join=False,
            start_method="spawn",
        )
        killed: List[int] = []
        try:
            killed = _wait_for_all_or_a_failure(context.processes)
        except StopRequest as request:
            _end(context.processes, request.number, _PATIENCE_WITH_THE_REST)
            _raise_first_failure(folder, killed, request)
        finally:
            _end(context.processes, signal.SIGTERM, _PATIENCE_AFTER_A_FAILURE)
        try:
            while not context.join():
                pass
        except Exception as error:
            _raise_first_failure(folder, killed, error)
        if not _result_file(folder).exists():
            raise RuntimeError("the processes ended before the first one returned a result; they were interrupted")
        return pickle.loads(_result_file(folder).read_bytes())


def _backend(backend: Optional[str], devices: Sequence[str]) -> str:
    return backend or ("nccl" if all(device.startswith("cuda") for device in devices) else "gloo")


def _threads_each(processes: int) -> int:
    return max(1, torch.get_num_threads() // processes)


def _device_of(place: GroupPlace, devices: Sequence[str]) -> str:
    if len(devices) == 1 and not devices[0].startswith("cuda"):
        return devices[0]
    if place.local_rank >= len(devices):
        raise ValueError(f"process {place.local_rank} of this machine has no device among {list(devices)}")
    return devices[place.local_rank]


def _join(
    place: GroupPlace, function: Callable[..., Any], args: Tuple[Any, ...], backend: Optional[str], device: str
) -> Any:
    rank = Rank(place.rank, place.world_size, device)
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    listens = place.rank == 0 and not place.has_store
    try:
        store = dist.TCPStore(place.address, place.port, place.world_size, listens, timeout=_JOINING)
        failures = GroupFailures(place)
    except RuntimeError as error:
        address = f"{place.address}:{place.port}"
        raise RuntimeError(f"process {place.rank} cannot join its group at {address}: {error}") from error
    try:
        dist.init_process_group(
            _backend(backend, [device]),
            store=dist.PrefixStore(f"group-{place.attempt}", store),
            rank=rank.rank,
            world_size=rank.world_size,
            timeout=_PATIENCE,
        )
        result = function(rank, *args)
    except BaseException as error:
        # The group's own store may outlive the process that is gone: then only the connection to it tells.
        lost = _lost_group(error) if is_lost_connection(error) else None
        earlier = failures.report(rank.rank, lost or error)
        if earlier is not None:
            original, text = earlier
            raise original from ChildTraceback(text)
        is_interrupted = isinstance(error, StopRequest) and failures.has_interrupted
        if failures.is_lost and (is_interrupted or isinstance(error, RuntimeError)):
            lost = _lost_group(error)
        if lost is not None:
            raise lost from error
        raise
    finally:
        failures.stop_watching()
    dist.barrier()  # no process leaves while another still talks to it
    dist.destroy_process_group()
    return result if rank.is_main else None


def _lost_group(cause: BaseException) -> RuntimeError:
    error = RuntimeError("another process of the group ended without saying why")
    error.__cause__ = cause
    return error


def _child(
    index: int,
    function: Callable[..., Any],
    args: Tuple[Any, ...],
    backend: str,
    devices: List[str],
    folder: str,
    threads: int,
) -> None:
    raise_on_signals()
    keep_freed_memory()
    rank = Rank(index, len(devices), devices[index])
    if rank.device.startswith("cuda"):
        torch.cuda.set_device(rank.device)
    else:
        # The processes share the threads that this one alone would use; more would be in one another's way.
        torch.set_num_threads(threads)
    try:
        store = Path(folder, "store").as_uri()
        dist.init_process_group(backend, init_method=store, rank=index, world_size=rank.world_size, timeout=_PATIENCE)
        result = function(rank, *args)
        if rank.is_main:
            _result_file(folder).write_bytes(pickle.dumps(result))
        dist.barrier()  # no process leaves while another still talks to it
        dist.destroy_process_group()
    except StopRequest as request:
        _write_failure(folder, index, request)
        raise SystemExit(1) from request
    except Exception as error:
        _write_failure(folder, index, error)
        raise


def _wait_for_all_or_a_failure(processes: Sequence[Any]) -> List[int]:
    """Returns when all have ended or one has failed: those that were killed by SIGKILL."""
    while True:
        running = [process.sentinel for process in processes if process.exitcode is None]
        if not running or any(process.exitcode for process in processes):
            return [index for index, process in enumerate(processes) if process.exitcode == -signal.SIGKILL]
        wait(running)


def _end(processes: Sequence[Any], number: int, patience: float) -> None:
    """Ask the processes to end and wait until they have. Once one has ended, one that still runs after `patience`
    seconds waits for what will not come."""
    for process in processes:
        if process.exitcode is None:
            os.kill(process.pid, number)
    deadline = None
    while any(process.exitcode is None for process in processes):
        wait([process.sentinel for process in processes if process.exitcode is None], timeout=1.0)
        if deadline is None and any(process.exitcode is not None for process in processes):
            deadline = time.monotonic() + patience
        if deadline is not None and time.monotonic() > deadline:
            for process in processes:
                process.kill()


def _result_file(folder: str) -> Path:
    return Path(folder, "result.pickle")


def _write_failure(folder: str, index: int, error: BaseException) -> None:
    # Written beside and renamed, because this process may be ended at any moment once another has failed.
    partial = Path(folder, f"failure-{index}.partial")
    partial.write_bytes(describe_failure(error, time.monotonic()))
    os.replace(partial, Path(folder, f"failure-{index}.pickle"))


def _raise_first_failure(folder: str, killed: Sequence[int], error: BaseException) -> NoReturn:
    failures = [read_failure(path.read_bytes()) for path in Path(folder).glob("failure-*.pickle")]
    # What a function makes of a request to end says more than the request, and that may be due to another's failure.
    telling = [failure for failure in failures if not isinstance(failure.error, StopRequest)]
    if isinstance(error, StopRequest):
        # Processes that are asked to end at the same time do not do so, and one may lose the connection to another.
        telling = [failure for failure in telling if not is_lost_connection(failure.error)]
    if killed and all(_may_follow_from_a_loss(failure.error) for failure in failures):
        raise OutOfMemoryError(
            f"process {killed[0]} was killed (SIGKILL), which is what the system does when the memory is used up: a "
            "smaller samples_per_gpu, image_size or crop_size, or fewer workers_per_gpu, needs less"
        ) from error
    if not failures or isinstance(error, StopRequest) and not telling:
        raise error
    # The first one in time: the others fail because a process they wait for has gone.
    first = min(telling or failures, key=lambda failure: failure.time)
    raise first.error from ChildTraceback(first.text)


def _may_follow_from_a_loss(error: BaseException) -> bool:
    """Whether a process may have failed so only because another one was gone, which torch says in many ways."""
    return isinstance(error, (StopRequest, RuntimeError))
