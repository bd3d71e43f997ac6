"""Mining algorithms from their names and hyper-parameters."""

import inspect

from mmseg.errors import ConfigError

# The modules of the algorithms register them.
from ymir.mining import class_balanced, coreset, random_miners, ripu, rsal, uncertainty_miners  # noqa: F401
from ymir.mining.miner import MINERS, REGION_MINERS, Miner

__all__ = ["MINERS", "REGION_MINERS", "build_miner"]

_LEVELS = ("image", "region")


def build_miner(
    *,
    mining_algorithm: str = "RSAL",
    mining_level: str = "image",
    superpixel_algorithm: str = "slico",
    superpixel_backend: str = "opencv",
    uncertainty_method: str = "BvSB",
    disagreement: str = "none",
    max_superpixel_per_image: int = 1024,
    max_kept_mining_image: int = 5000,
    topk_superpixel_score: int = 3,
    class_balance: bool = True,
    ripu_region_radius: int = 1,
    coreset_candidates: int = 4,
    mining_seed: int = 0,
) -> Miner:
    """Build the miner that the hyper-parameters of the same names ask for.

    Raises:
        ConfigError: there is no mining algorithm, superpixel algorithm or uncertainty method of that name, the backend
            cannot do the superpixel algorithm, or a disagreement is asked for that the mining algorithm cannot measure.
    """
    settings = {
        "mining_algorithm": mining_algorithm,
        "superpixel_algorithm": superpixel_algorithm,
        "superpixel_backend": superpixel_backend,
        "uncertainty_method": uncertainty_method,
        "disagreement": disagreement,
        "max_superpixel_per_image": max_superpixel_per_image,
        "max_kept_mining_image": max_kept_mining_image,
        "topk_superpixel_score": topk_superpixel_score,
        "class_balance": class_balance,
        "ripu_region_radius": ripu_region_radius,
        "coreset_candidates": coreset_candidates,
        "mining_seed": mining_seed,
    }
    miner = MINERS.get(mining_algorithm)
    if mining_level not in _LEVELS:
        raise ConfigError(f"mining_level is {mining_level!r}, but must be one of {', '.join(_LEVELS)}")
    if mining_level == "region" and mining_algorithm in REGION_MINERS:
        miner = REGION_MINERS.get(mining_algorithm)
    wanted = inspect.signature(miner).parameters
    if disagreement != "none" and "disagreement" not in wanted:
        raise ConfigError(
            f"mining_algorithm {mining_algorithm} cannot measure a disagreement: disagreement must be none, not "
            f"{disagreement}"
        )
    return miner(**{name: settings[name] for name in wanted})
