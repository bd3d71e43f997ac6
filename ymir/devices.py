"""The devices that gpu_id asks for."""

from typing import List, Sequence

import torch

from ymir.errors import NoGPUError


def devices_for(gpu_ids: Sequence[int]) -> List[str]:
    """One torch device name for each process to run: the CPU when no GPU is asked for.

    Raises:
        NoGPUError: a GPU of that number is not there.
    """
    if not gpu_ids:
        return ["cpu"]
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    missing = [index for index in gpu_ids if index >= present]
    if missing:
        raise NoGPUError(
            f"gpu_id asks for GPU {', '.join(map(str, gpu_ids))}, but this machine has {present or 'no'} usable "
            f"GPU{'s' if present != 1 else ''}"
        )
    return [f"cuda:{index}" for index in gpu_ids]
