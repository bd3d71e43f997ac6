"""Checks of a model against what was measured from mmsegmentation 0.27, see the reference folder's README."""

import functools
import gzip
import json
from typing import Any, Dict

import numpy as np
import pytest
import torch
import torch.nn as nn

from mmseg.models import total_loss
from tests.models.configs import fill
from tests.reference_data import REFERENCE


@functools.lru_cache(maxsize=None)
def _layouts() -> Dict[str, Any]:
    with gzip.open(str(REFERENCE / "checkpoint_layouts.json.gz"), "rt") as file:
        return json.load(file)


def assert_published_layout(model: nn.Module, config: str) -> None:
    """The state_dict has the names and shapes, in order, of the published checkpoints of the file `config`."""
    published = _layouts()["layouts"][_layouts()["configs"][config]]
    assert [(name, list(value.shape)) for name, value in model.state_dict().items()] == list(published.items())


def assert_reference_numbers(model: nn.Module, name: str) -> None:
    """Logits, losses and gradients are those of forward/`name`.npz."""
    with np.load(REFERENCE / "forward" / f"{name}.npz") as file:
        expected = {key: file[key] for key in file}
    assert sum(parameter.numel() for parameter in model.parameters()) == expected["num_params"]
    fill(model).eval()
    image = torch.from_numpy(np.random.RandomState(0).standard_normal((2, 3, 128, 256)).astype(np.float32))
    label = np.random.RandomState(1).randint(0, model.num_classes, size=(2, 1, 16, 32)).repeat(8, 2).repeat(8, 3)
    label[:, :, :16] = 255

    with torch.no_grad():
        logits = model(image).numpy()
    found = logits[:, :, ::8, ::8]
    assert found.shape == expected["logits"].shape
    assert np.linalg.norm(found - expected["logits"]) < 1e-4 * np.linalg.norm(expected["logits"])
    assert abs(logits.mean() - expected["logits_mean"]) < 1e-4 * expected["logits_std"]
    assert abs(logits.std() - expected["logits_std"]) < 1e-4 * expected["logits_std"]

    losses = model.loss(image, torch.from_numpy(label).long())
    loss = total_loss(losses)
    values = {**{key: value.item() for key, value in losses.items()}, "loss": loss.item()}
    wanted = json.loads(str(expected["losses"]))
    assert values.keys() == wanted.keys()
    for key, value in wanted.items():
        # An accuracy moves by a whole pixel where two classes are as good as equal.
        tolerance = {"abs": 0.01} if "acc" in key else {"rel": 1e-4}
        assert values[key] == pytest.approx(value, **tolerance), key

    loss.backward()
    norms = json.loads(str(expected["grad_norm"]))
    assert {part: _gradient_norm(getattr(model, part)) for part in norms} == pytest.approx(norms, rel=1e-3)


def _gradient_norm(part: nn.Module) -> float:
    squares = [p.grad.double().pow(2).sum() for p in part.parameters() if p.grad is not None]
    return float(sum(squares)) ** 0.5
