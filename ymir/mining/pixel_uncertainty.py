"""The pixel's uncertainty that the hyper-parameters ask for."""

from mmseg.engine.logit_bands import LogitBands
from mmseg.errors import ConfigError
from ymir.mining.disagreement import Uncertainty, disagreement
from ymir.mining.pixels import Logits
from ymir.mining.uncertainty import UNCERTAINTIES

# What makes several predictions of an image. Who predicts knows how; here it only counts whether there are several.
ENSEMBLES = ("dropout", "flip")


def pixel_uncertainty(uncertainty_method: str, disagreement_of: str) -> Uncertainty:
    """The uncertainty of that name, or how far several predictions disagree about it.

    Args:
        uncertainty_method: a name in UNCERTAINTIES.
        disagreement_of: "none", or one of ENSEMBLES.

    Raises:
        ConfigError: there is nothing of such a name.
    """
    uncertainty = UNCERTAINTIES.get(uncertainty_method)
    if disagreement_of == "none":
        return uncertainty
    if disagreement_of not in ENSEMBLES:
        raise ConfigError(f"disagreement is {disagreement_of!r}, but must be one of none, {', '.join(ENSEMBLES)}")
    return disagreement(uncertainty)


def as_bands(logits: Logits) -> LogitBands:
    """Logits as LogitBands, which know their channels and their class map."""
    return logits if isinstance(logits, LogitBands) else LogitBands.of(logits)
