import pytest
import torch

from mmseg.engine.eta import TimeEstimate
from mmseg.engine.loss_window import LossWindow
from mmseg.errors import NonFiniteLossError


def values(loss, accuracy=50.0):
    return {
        "decode.loss_ce": torch.tensor(loss),
        "decode.acc_seg": torch.tensor([accuracy]),
        "loss": torch.tensor(loss),
    }


def test_read_gives_the_newest_and_means_are_over_all():
    window = LossWindow()
    assert window.read() is None
    for iteration, loss in enumerate([1.0, 2.0, 6.0], 1):
        window.add(iteration, values(loss), 0.1)
    assert window.read() == {"decode.loss_ce": 6.0, "decode.acc_seg": 50.0, "loss": 6.0}
    assert window.read() is None
    window.add(4, values(3.0), 0.1)
    window.read()
    assert window.take_means()["loss"] == 3.0
    assert window.take_means() == {}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_iteration_that_is_not_finite_is_named(bad):
    window = LossWindow()
    for iteration, loss in enumerate([1.0, bad, float("nan")], 11):
        window.add(iteration, values(loss), 0.25)
    with pytest.raises(NonFiniteLossError, match=rf"iteration 12 \(decode.loss_ce {bad}.*learning rate 0.25"):
        window.read()


def test_an_accuracy_may_be_anything():
    window = LossWindow()
    window.add(1, values(1.0, accuracy=float("nan")), 0.1)
    assert window.read()["loss"] == 1.0


def test_time_estimate():
    estimate = TimeEstimate(weight=0.5)
    assert estimate.remaining(10, 1) == 0
    estimate.add_iteration(2.0)
    assert estimate.remaining(10, 0) == pytest.approx(20)  # the first one counts in full
    estimate.add_iteration(1.0)
    estimate.add_evaluation(7.0)
    assert estimate.remaining(3, 2) == pytest.approx(3 * (0.5 * 2 + 1 * 1) / 1.5 + 14)
