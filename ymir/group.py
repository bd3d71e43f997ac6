"""The group of processes that torchrun or Slurm's srun has started, as their environment variables describe it."""

import os
import re
from pathlib import Path
from typing import List, Mapping, Optional, Set, Tuple

from mmseg.engine.group_place import GroupPlace
from ymir.errors import NoGPUError, ParameterError

# Slurm names no port; one from this range, by the number of the job, is one that other jobs hardly use.
_FIRST_PORT, _PORTS = 15000, 10000


def read_group_place(environment: Mapping[str, str]) -> Optional[GroupPlace]:
    """This process's place in the group that torchrun (torch.distributed.run or .launch) or srun has started; None
    where it is alone. A group of one is none.

    Raises:
        ParameterError: a variable that the launcher must set is missing or wrong.
    """
    if "RANK" in environment and "WORLD_SIZE" in environment:
        place = _of_torchrun(environment)
    # A batch script has Slurm's variables too; only in a step of several tasks is each process one of them.
    elif environment.get("SLURM_STEP_ID", "").isdigit() and _number(environment, "SLURM_NTASKS", 1) > 1:
        place = _of_slurm(environment)
    else:
        return None
    if not 0 <= place.rank < place.world_size:
        raise ParameterError(f"the launcher says that this is process {place.rank} of {place.world_size}")
    return place if place.world_size > 1 else None


def check_devices(place: GroupPlace, gpu_ids: Tuple[int, ...], source: str) -> None:
    """Refuse a group whose processes on this machine are not as many as the GPUs.

    Raises:
        NoGPUError: there are fewer GPUs than processes.
        ParameterError: there are more.
    """
    if not gpu_ids:
        return
    given = ",".join(map(str, gpu_ids))
    at_least = "" if place.local_world_size is not None else "at least "
    here = place.local_world_size if place.local_world_size is not None else place.local_rank + 1
    if here > len(gpu_ids):
        raise NoGPUError(
            f"{source}: gpu_id is {given!r}, {_count(len(gpu_ids), 'GPU')}, but the launcher started {at_least}"
            f"{_count(here, 'process', 'processes')} on this machine: there must be one for each GPU"
        )
    if place.local_world_size is not None and here < len(gpu_ids):
        raise ParameterError(
            f"{source}: gpu_id is {given!r}, {_count(len(gpu_ids), 'GPU')}, but the launcher started only "
            f"{_count(here, 'process', 'processes')} on this machine: there must be one for each GPU"
        )


def launcher_threads(place: Optional[GroupPlace], environment: Mapping[str, str]) -> Optional[int]:
    """How many threads a process of a group should compute with to give the same numbers as one that is alone: the
    cores that it may use. None where that is torch's own choice anyway, or the user has set OMP_NUM_THREADS."""
    if place is None or environment.get("OMP_NUM_THREADS", "1") != "1":
        return None
    # torchrun sets it to 1 where the user set nothing, which only what it was itself started with tells.
    is_set, by_torchrun = "OMP_NUM_THREADS" in environment, "RANK" in environment
    if is_set and (not by_torchrun or b"OMP_NUM_THREADS" in launcher_variables(os.getppid())):
        return None
    return usable_cores()


def launcher_variables(process: int) -> Set[bytes]:
    """The names of the environment variables with which torchrun was started: of the nearest process, from `process`
    up, that was not started as one of a group. Empty where the system does not show them."""
    try:
        while True:
            content = Path(f"/proc/{process}/environ").read_bytes()
            names = {variable.partition(b"=")[0] for variable in content.split(b"\0")}
            if b"RANK" not in names:
                return names
            # The name, in parentheses, may hold anything.
            status = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2]
            process = int(status.split()[1])
    except OSError:
        return set()


def usable_cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def first_host(nodes: str) -> str:
    """The first machine of a list as Slurm writes it: `a,b`, `node[01-03,07]`, `rack[1-2]n[1-4]x`.

    Raises:
        ParameterError: it is none.
    """
    name = re.match(r"(?:[^,\[\]]|\[[^\[\]]*\])+", nodes.strip())
    host = re.sub(r"\[(\w+)[^\[\]]*\]", r"\1", name.group(0)) if name else ""
    if not re.fullmatch(r"[\w.:-]+", host):
        raise ParameterError(f"SLURM_STEP_NODELIST is {nodes!r}, which is no list of machines")
    return host


def _of_torchrun(environment: Mapping[str, str]) -> GroupPlace:
    missing = [name for name in ("LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if not environment.get(name)]
    if missing:
        raise ParameterError(
            f"RANK and WORLD_SIZE are set, as by torchrun, but not {' and '.join(missing)}; start the processes by "
            "torchrun, or by torch.distributed.launch with --use_env"
        )
    run = environment.get("TORCHELASTIC_RUN_ID", "")
    return GroupPlace(
        rank=_number(environment, "RANK"),
        local_rank=_number(environment, "LOCAL_RANK"),
        world_size=_number(environment, "WORLD_SIZE"),
        address=environment["MASTER_ADDR"],
        port=_number(environment, "MASTER_PORT"),
        local_world_size=_number(environment, "LOCAL_WORLD_SIZE") if environment.get("LOCAL_WORLD_SIZE") else None,
        has_store=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        attempt=f"{run}-{environment.get('TORCHELASTIC_RESTART_COUNT', '0')}",
    )


def _of_slurm(environment: Mapping[str, str]) -> GroupPlace:
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST") or ""
    job, step = _number(environment, "SLURM_JOB_ID"), _number(environment, "SLURM_STEP_ID")
    port = _FIRST_PORT + (job + step) % _PORTS
    return GroupPlace(
        rank=_number(environment, "SLURM_PROCID"),
        local_rank=_number(environment, "SLURM_LOCALID"),
        world_size=_number(environment, "SLURM_NTASKS"),
        address=environment.get("MASTER_ADDR") or first_host(nodes),
        port=_number(environment, "MASTER_PORT", port),
        local_world_size=_tasks_here(environment),
        attempt=f"{job}.{step}",
    )


def _tasks_here(environment: Mapping[str, str]) -> Optional[int]:
    """The number of tasks on this machine, from a list such as `2(x3),1`."""
    text = environment.get("SLURM_STEP_TASKS_PER_NODE", "")
    counts: List[int] = []
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if not found:
            return None
        counts += [int(found.group(1))] * int(found.group(2) or 1)
    node = environment.get("SLURM_NODEID", "")
    return counts[int(node)] if node.isdigit() and int(node) < len(counts) else None


def _number(environment: Mapping[str, str], name: str, default: Optional[int] = None) -> int:
    text = environment.get(name) or ("" if default is None else str(default))
    if not (text.isascii() and text.isdigit()):
        raise ParameterError(f"the environment variable {name} is {text!r}, but must be a number: the launcher sets it")
    return int(text)


def _count(number: int, one: str, several: Optional[str] = None) -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"
