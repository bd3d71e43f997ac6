"""Mining algorithms from their names and hyper-parameters."""

import inspect

# The modules of the algorithms register them.
from ymir.mining import ripu, rsal  # noqa: F401
from ymir.mining.miner import MINERS, Miner

__all__ = ["MINERS", "build_miner"]


def build_miner(
    *,
    mining_algorithm: str,
    superpixel_algorithm: str = "slico",
    uncertainty_method: str = "BvSB",
    max_superpixel_per_image: int = 1024,
    max_kept_mining_image: int = 5000,
    topk_superpixel_score: int = 3,
    class_balance: bool = True,
    ripu_region_radius: int = 1,
) -> Miner:
    """Build the miner that the hyper-parameters of the same names ask for.

    Raises:
        ConfigError: there is no mining algorithm, superpixel algorithm or uncertainty method of that name.
    """
    settings = {
        "superpixel_algorithm": superpixel_algorithm,
        "uncertainty_method": uncertainty_method,
        "max_superpixel_per_image": max_superpixel_per_image,
        "max_kept_mining_image": max_kept_mining_image,
        "topk_superpixel_score": topk_superpixel_score,
        "class_balance": class_balance,
        "ripu_region_radius": ripu_region_radius,
    }
    miner = MINERS.get(mining_algorithm)
    return miner(**{name: settings[name] for name in inspect.signature(miner).parameters})
