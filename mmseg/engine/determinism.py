"""What makes two runs of one seed the same."""

import torch


def set_determinism(seed: int, *, deterministic: bool = False, benchmark: bool = False) -> None:
    """Seed torch, from which initial weights are drawn, and choose how cuDNN picks its algorithms.

    Args:
        seed: of torch's generators on all devices.
        deterministic: only algorithms that always give the same bits; slower. Some operations on a GPU, such as the
            gradient of a bilinear resize, have none, so there two runs may still differ in the last digits.
        benchmark: time the algorithms for each new shape and take the fastest; not together with `deterministic`.
    """
    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = benchmark and not deterministic
