import io
import json
import logging

import cv2
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mmseg.engine.callbacks import EndEvent, EvaluationEvent, IterationEvent, StartEvent
from mmseg.engine.json_log import JsonLogger
from mmseg.engine.metrics import ConfusionMatrix, Picture
from mmseg.engine.progress import ProgressBar, duration
from mmseg.engine.tensorboard_log import TensorBoardLogger
from tests.engine.tiny import CLASSES, PALETTE

META = dict(CLASSES=CLASSES, PALETTE=PALETTE, config="model = dict(type='天空')\n", seed=3)


def iteration(number, logged=True, loss=0.5, **losses):
    values = {"decode.loss_ce": loss, "loss": loss, **losses}
    return IterationEvent(
        iteration=number,
        max_iters=10,
        losses=values,
        mean_losses=values if logged else None,
        learning_rates=[0.1, 0.2],
        seconds=0.25,
        data_seconds=0.05,
        eta_seconds=3725.0,
        memory=None,
    )


def evaluation(number):
    confusion = ConfusionMatrix(3)
    label = np.zeros((20, 40), np.uint8)
    label[:, 20:] = 1
    label[0] = 255
    confusion.update(np.zeros_like(label), label)
    picture = Picture(np.full((20, 40, 3), 60, np.uint8), label, np.zeros_like(label).astype(np.int64), "a.png")
    return EvaluationEvent(number, confusion.metrics(), True, (picture,))


def drive(*callbacks, start=0, end=4, reason="completed"):
    for callback in callbacks:
        callback.on_start(StartEvent(start, 10, META))
        for number in range(start + 1, end + 1):
            callback.on_iteration(iteration(number, logged=number % 2 == 0))
        callback.on_evaluation(evaluation(end))
        callback.on_end(EndEvent(end, reason))


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_json_log(tmp_path):
    path = tmp_path / "deep" / "log.jsonl"
    drive(JsonLogger(path))
    records = read(path)
    assert [(record["mode"], record["iter"]) for record in records] == [
        ("start", 0),
        ("train", 2),
        ("train", 4),
        ("val", 4),
    ]
    assert records[0]["meta"]["config"] == META["config"] and "torch" in records[0]["env"]
    assert records[1]["lr"] == 0.1 and records[1]["decode.loss_ce"] == 0.5
    assert (records[1]["time"], records[1]["data_time"], records[1]["eta"]) == (0.25, 0.05, 3725.0)
    assert records[3]["mIoU"] == pytest.approx(0.25) and records[3]["IoU"] == [0.5, 0.0, None]


def test_json_log_goes_on_after_a_cut_off_line(tmp_path):
    path = tmp_path / "log.jsonl"
    drive(JsonLogger(path))
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    drive(JsonLogger(path), start=4, end=6)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["mode"] for line in lines[:3]] == ["start", "train", "train"]
    assert [json.loads(line)["iter"] for line in lines[4:]] == [6, 6]


def test_json_log_has_no_nan(tmp_path):
    log = JsonLogger(tmp_path / "log.jsonl")
    log.on_start(StartEvent(0, 10, {}))
    log.on_iteration(iteration(1, grad_norm=float("inf")))
    log.on_end(EndEvent(1, "failed"))
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[1])["grad_norm"] is None


def accumulated(folder):
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    return events


def test_tensorboard(tmp_path):
    drive(TensorBoardLogger(tmp_path / "events"))
    events = accumulated(tmp_path / "events")
    tags = events.Tags()
    assert {"train/loss", "train/decode.loss_ce", "train/learning_rate", "val/mIoU", "val/aAcc"} <= set(tags["scalars"])
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(2, 0.5), (4, 0.5)]
    assert events.Scalars("val_IoU/sky")[0].value == 0.5
    assert "val_IoU/car" not in tags["scalars"]  # in no label and no prediction
    (image,) = events.Images("val/picture_0")
    sheet = cv2.imdecode(np.frombuffer(image.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert sheet.shape == (20, 120, 3) and (image.height, image.width) == (20, 120)
    assert sheet[10, 10].tolist() == [60, 60, 60]
    assert sheet[10, 50].tolist() == PALETTE[0][::-1] and sheet[10, 70].tolist() == PALETTE[1][::-1]
    assert sheet[0, 50].tolist() == [0, 0, 0]
    assert sheet[10, 110].tolist() == PALETTE[0][::-1]


def test_tensorboard_pictures_are_made_smaller(tmp_path):
    drive(TensorBoardLogger(tmp_path, max_side=10))
    (image,) = accumulated(tmp_path).Images("val/picture_0")
    assert (image.height, image.width) == (5, 30)


@pytest.mark.parametrize("start", [0, 4])
def test_tensorboard_drops_what_a_later_run_does_again(tmp_path, start):
    drive(TensorBoardLogger(tmp_path), end=8)
    drive(TensorBoardLogger(tmp_path), start=start, end=6)
    assert [event.step for event in accumulated(tmp_path).Scalars("train/loss")] == [2, 4, 6]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_bar_on_a_terminal(caplog):
    stream = Terminal()
    with caplog.at_level(logging.INFO, "mmseg"):
        drive(ProgressBar(stream))
    text = stream.getvalue()
    assert "/10" in text and "loss=0.5000" in text and "eta=1:02:05" in text
    assert not any("iteration 2/10" in message for message in caplog.messages)


def test_progress_lines_elsewhere(caplog):
    stream = io.StringIO()
    with caplog.at_level(logging.INFO, "mmseg"):
        drive(ProgressBar(stream))
    assert stream.getvalue() == ""
    lines = [message for message in caplog.messages if message.startswith("iteration ")]
    assert [line.split(":")[0] for line in lines] == ["iteration 2/10", "iteration 4/10"]
    assert "loss 0.5000" in lines[0] and "lr 1.000e-01" in lines[0] and "eta 1:02:05" in lines[0]
    table = next(message for message in caplog.messages if message.startswith("evaluation at iteration 4"))
    assert "mIoU 25.00" in table and "road" in table


def test_loggers_can_end_without_a_start(tmp_path):
    for callback in (JsonLogger(tmp_path / "a"), TensorBoardLogger(tmp_path / "b"), ProgressBar()):
        callback.on_end(EndEvent(0, "failed"))


def test_duration():
    assert duration(0) == "0:00:00"
    assert duration(90061.4) == "1 day, 1:01:01"
