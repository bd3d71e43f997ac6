"""The documented families, and SegFormer, trained and used through start.py by their config files alone."""

import json

import pytest

from tests.end_to_end.start import run_start
from tools.demo_data import write_data
from tools.demo_task import stage_files, write_predict_task, write_training_task
from tools.street_scenes import CLASSES


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("families")
    write_data(root, train=4, val=1, candidates=2, size=(64, 64))
    return root


@pytest.mark.parametrize(
    ("config", "options"),
    [
        ("deeplabv3plus/deeplabv3plus_r18-d8_512x1024_80k_cityscapes.py", ""),
        ("hrnet/fcn_hr18s_512x1024_40k_cityscapes.py", ""),
        ("ocrnet/ocrnet_hr18s_512x1024_40k_cityscapes.py", ""),
        # Its published rate is for fine-tuning pre-trained weights.
        ("segformer/segformer_mit-b0_8x1_1024x1024_160k_cityscapes.py", "optimizer.lr=0.001 lr_config.warmup=None"),
    ],
)
def test_a_family_trains_infers_and_mines(root, config, options):
    name = config.split("/")[0]
    # All four images are in every batch, so that the loss must fall.
    training = write_training_task(
        root,
        name=f"{name}-training",
        class_names=CLASSES,
        config_file=f"configs/{config}",
        image_size="64x64",
        crop_size="64x64",
        samples_per_gpu=4,
        workers_per_gpu=0,
        max_iters=8,
        interval=8,
        cfg_options=f"log_config.interval=1 data.train.pipeline.2.ratio_range=(1.0,1.0) {options}",
    )
    run = run_start(training)
    assert run.status == 0, run.output
    log = (training.parent / "out" / "models" / "train_log.jsonl").read_text().splitlines()
    losses = [record["loss"] for record in map(json.loads, log) if record.get("mode") == "train"]
    assert len(losses) == 8
    assert sum(losses[5:]) / 3 < sum(losses[:3]) / 3
    predict = write_predict_task(
        root, stage_files(training), name=f"{name}-predict", class_names=CLASSES, workers_per_gpu=0
    )
    run = run_start(predict)
    assert run.status == 0, run.output
    assert len((predict.parent / "out" / "result.tsv").read_text().splitlines()) == 2
