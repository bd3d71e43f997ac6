"""The place of a process in a group that something else has started."""

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class GroupPlace:
    """Which process this is among those that a launcher such as torchrun or Slurm's srun started.

    Attributes:
        rank: of `world_size`, over all machines.
        local_rank: among the processes of this machine, which decides about the device.
        world_size: processes on all machines.
        address, port: where the processes meet.
        local_world_size: processes on this machine; None where the launcher does not say.
        has_store: whether the launcher itself listens there; otherwise the first process does.
        attempt: tells apart the groups that meet at the same place one after the other.
    """

    rank: int
    local_rank: int
    world_size: int
    address: str
    port: int
    local_world_size: Optional[int] = None
    has_store: bool = False
    attempt: str = "0"
