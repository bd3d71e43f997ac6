import logging

import pytest

from mmseg.config import Config
from mmseg.datasets import build_dataset
from mmseg.errors import ConfigError
from tests.datasets.files import write_index, write_pairs
from tests.ymir.task_files import make_task
from ymir.dataset import TrainingData
from ymir.errors import ParameterError
from ymir.training.arguments import parse_training_arguments
from ymir.training.config import resolve_training_config, set_image_size


def resolve(tmp_path, *, classes=("road", "car"), blank=False, **config):
    names = ("ymir_background", *classes) if blank else classes
    data = TrainingData(tmp_path / "train.tsv", tmp_path / "val.tsv", names, blank)
    task = make_task(tmp_path, config={"class_names": list(classes), **config}, run_training=True)
    return resolve_training_config(task, data, parse_training_arguments(task.training.args_options))


def transform(pipeline, kind):
    return next(t for t in pipeline if t["type"] == kind)


@pytest.mark.parametrize("blank", [False, True])
def test_the_data_set_decides_classes_and_the_reading_of_the_masks(tmp_path, blank):
    cfg = resolve(tmp_path, blank=blank)
    assert cfg.with_blank_area is blank
    for split in ("train", "val", "test"):
        assert list(cfg.data[split].classes) == (["ymir_background"] if blank else []) + ["road", "car"]
        assert len(cfg.data[split].palette) == 2 + blank
        assert cfg.data[split].reduce_zero_label is not blank
    assert transform(cfg.data.train.pipeline, "LoadAnnotations").reduce_zero_label is not blank
    assert cfg.data.train.index_file == str(tmp_path / "train.tsv")
    assert cfg.model.decode_head.num_classes == 2 + blank
    assert [head.num_classes for head in cfg.model.auxiliary_head] == [2 + blank] * 2


def test_hyper_parameters_reach_their_places(tmp_path):
    cfg = resolve(
        tmp_path,
        image_size="480x360",
        crop_size="240x176",
        samples_per_gpu="3",
        workers_per_gpu=1,
        max_iters=70,
        interval=30,
        args_options="--seed 5",
    )
    train, val = cfg.data.train.pipeline, cfg.data.val.pipeline
    assert transform(train, "Resize").img_scale == (480, 360)
    assert transform(train, "Resize").ratio_range == (0.5, 2.0)
    assert transform(train, "RandomCrop").crop_size == (176, 240)
    assert transform(train, "Pad")["size"] == (176, 240)
    assert transform(val, "MultiScaleFlipAug").img_scale == (480, 360)
    assert "img_scale" not in transform(transform(val, "MultiScaleFlipAug").transforms, "Resize")
    assert (cfg.data.samples_per_gpu, cfg.data.workers_per_gpu) == (3, 1)
    assert cfg.runner == {"type": "IterBasedRunner", "max_iters": 70}
    assert (cfg.evaluation.interval, cfg.checkpoint_config.interval) == (30, 30)
    assert cfg.seed == 5


def test_without_sizes_the_config_file_decides(tmp_path):
    cfg = resolve(tmp_path)
    assert transform(cfg.data.train.pipeline, "Resize").img_scale == (2048, 1024)
    assert transform(cfg.data.train.pipeline, "RandomCrop").crop_size == (512, 1024)


def test_later_options_win(tmp_path):
    cfg = resolve(
        tmp_path,
        max_iters=70,
        cfg_options="runner.max_iters=60 optimizer.lr=0.5 data.train.pipeline.2.img_scale=(96, 64)",
        args_options="--cfg-options runner.max_iters=50",
    )
    assert cfg.runner.max_iters == 50
    assert cfg.optimizer.lr == 0.5
    assert transform(cfg.data.train.pipeline, "Resize").img_scale == (96, 64)


def test_the_resolved_config_reads_back_equal(tmp_path):
    cfg = resolve(tmp_path, classes=("路", 'it\'s "a" car'), blank=True)
    cfg.dump(tmp_path / "resolved.py")
    assert Config.fromfile(tmp_path / "resolved.py") == cfg


def test_the_momentum_is_raised_for_short_runs_only(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert resolve(tmp_path, max_iters=200).model.backbone.norm_cfg.momentum == 0.05
    assert len(caplog.messages) == 1
    assert resolve(tmp_path, max_iters=20).model.decode_head.norm_cfg.momentum == 0.1
    assert resolve(tmp_path).model.backbone.norm_cfg.momentum == 0.01
    kept = resolve(tmp_path, max_iters=200, cfg_options="model.backbone.norm_cfg.momentum=0.02")
    assert kept.model.backbone.norm_cfg.momentum == 0.02


def write_config(tmp_path, text):
    path = tmp_path / "own.py"
    path.write_text(text)
    return str(path)


WRAPPED = """
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', reduce_zero_label=True)]
model = dict(type='EncoderDecoder', decode_head=dict(
    num_classes=19, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0, 3.0])))
data = dict(
    samples_per_gpu=8,
    train=dict(type='RepeatDataset', times=40, dataset=dict(type='CustomDataset', img_dir='x', pipeline=pipeline)),
    val=[dict(type='CustomDataset', pipeline=pipeline)])
"""


def test_wrapped_data_sets_give_their_pipeline(tmp_path, caplog):
    cfg = resolve(tmp_path, config_file=write_config(tmp_path, WRAPPED), blank=True)
    assert [t["type"] for t in cfg.data.train.pipeline] == ["LoadImageFromFile", "LoadAnnotations"]
    assert cfg.data.train.type == "IndexDataset"
    assert transform(cfg.data.train.pipeline, "LoadAnnotations").reduce_zero_label is False
    assert cfg.data.test.pipeline == cfg.data.val.pipeline


MIXED = """
model = dict(type='EncoderDecoder', decode_head=dict(num_classes=19))
inner = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', reduce_zero_label=True)]
outer = [
    dict(type='RandomMosaic', prob=0.5, img_scale=(320, 640)),
    dict(type='Resize', img_scale=(1024, 512), ratio_range=(0.5, 2.0)),
    dict(type='RandomCrop', crop_size=(256, 512))]
custom = dict(type='CustomDataset', img_dir=['x', 'y'], ann_dir=['v', 'w'], pipeline=inner)
data = dict(
    train=dict(type='RepeatDataset', times=3, dataset=dict(
        type='MultiImageMixDataset', pipeline=outer, dataset=dict(
            type='ClassBalancedDataset', oversample_thr=0.25, dataset=dict(
                type='ConcatDataset', datasets=[custom, custom])))),
    val=dict(type='ClassBalancedDataset', oversample_thr=0.25, dataset=custom))
"""


def test_wrappers_that_change_samples_stay_around_the_training_set(tmp_path):
    cfg = resolve(
        tmp_path, config_file=write_config(tmp_path, MIXED), blank=True, image_size="480x360", crop_size="240x176"
    )
    train = cfg.data.train
    assert (train.type, train.dataset.type, train.dataset.dataset.type) == (
        "MultiImageMixDataset",
        "ClassBalancedDataset",
        "IndexDataset",
    )
    assert set(train) == {"type", "pipeline", "dataset"} and train.dataset.oversample_thr == 0.25
    innermost = train.dataset.dataset
    assert innermost.index_file == str(tmp_path / "train.tsv") and len(innermost.classes) == 3
    assert transform(innermost.pipeline, "LoadAnnotations").reduce_zero_label is False
    assert transform(train.pipeline, "RandomMosaic").img_scale == (360, 480)  # height first
    assert transform(train.pipeline, "Resize").img_scale == (480, 360)
    assert transform(train.pipeline, "RandomCrop").crop_size == (176, 240)
    assert cfg.data.val.type == cfg.data.test.type == "IndexDataset"
    cfg.dump(tmp_path / "resolved.py")
    assert Config.fromfile(tmp_path / "resolved.py") == cfg


def test_a_mixed_data_set_resolves_to_one_that_builds(tmp_path):
    pairs = write_pairs(tmp_path, [(40, 60)] * 3, num_classes=2)
    write_index(tmp_path / "train.tsv", pairs)
    cfg = resolve(tmp_path, config_file=write_config(tmp_path, MIXED), blank=True, crop_size="32x24")
    dataset = build_dataset(cfg.data.train)
    assert len(dataset) == 3 and dataset.CLASSES == ("ymir_background", "road", "car")
    assert dataset[0]["img"].shape == (24, 32, 3)


def test_a_head_for_boundaries_keeps_its_own_classes(tmp_path):
    cfg = resolve(tmp_path, classes=("a", "b", "c"), config_file="configs/stdc/stdc1_512x1024_80k_cityscapes.py")
    heads = [cfg.model.decode_head, *cfg.model.auxiliary_head]
    assert {head.type: head.num_classes for head in heads} == {"FCNHead": 3, "STDCHead": 2}


def test_class_weights_of_another_number_of_classes_are_left_out(tmp_path, caplog):
    path = write_config(tmp_path, WRAPPED)
    assert resolve(tmp_path, config_file=path).model.decode_head.loss_decode.class_weight is None
    assert "class_weight is for 3 classes, not 2" in caplog.text
    three = resolve(tmp_path, config_file=path, blank=True)
    assert three.model.decode_head.loss_decode.class_weight == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "that file describes no model"),
        ("model = dict()\n", "that file has no data.train"),
        ("model = dict()\ndata = dict(train=dict(type='x'), val=dict(type='x'))\n", "a data set without a pipeline"),
    ],
)
def test_a_config_file_that_cannot_be_trained_with_is_named(tmp_path, text, message):
    with pytest.raises(ParameterError, match=message):
        resolve(tmp_path, config_file=write_config(tmp_path, text))


def test_a_config_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ParameterError, match=r"config_file is 'configs/nothing\.py', but there is no file"):
        resolve(tmp_path, config_file="configs/nothing.py")


def test_a_wrong_option_is_named(tmp_path):
    with pytest.raises(ConfigError, match="oops"):
        resolve(tmp_path, cfg_options="oops")


def test_image_size_reaches_nested_transforms_only_where_there_is_a_scale():
    pipeline = [
        {"type": "MultiScaleFlipAug", "img_ratios": [0.5], "transforms": [{"type": "Resize"}]},
        {"type": "Resize"},
    ]
    set_image_size(pipeline, (10, 20))
    assert pipeline[0]["img_scale"] == (10, 20)
    assert pipeline[0]["img_ratios"] == [0.5]
    assert "img_scale" not in pipeline[1]
    assert "img_scale" not in pipeline[0]["transforms"][0]
