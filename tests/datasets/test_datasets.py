import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.datasets import CityscapesDataset, Draw, IndexDataset, build_dataset, generate_palette
from mmseg.datasets.custom import read_index
from mmseg.errors import ConfigError, DataError, ImageError
from tests.datasets.files import write_image, write_index, write_pairs

LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]
RANDOM = LOAD + [{"type": "RandomCrop", "crop_size": (6, 6)}, {"type": "RandomFlip", "prob": 0.5}]


def custom(folder, **arguments):
    arguments = {"img_dir": "images", "ann_dir": "masks", "img_suffix": ".png", **arguments}
    return build_dataset({"type": "CustomDataset", "data_root": str(folder), "pipeline": LOAD, **arguments})


def test_custom_dataset_scans_folders_sorted(tmp_path):
    write_pairs(tmp_path, [(4, 5)] * 3, names=["b/2", "a", "b/1"])
    write_image(tmp_path / "images" / ".hidden.png", np.zeros((2, 2, 3), np.uint8))
    write_image(tmp_path / "images" / "other.bmp", np.zeros((2, 2, 3), np.uint8))
    dataset = custom(tmp_path)
    names = ["a.png", os.path.join("b", "1.png"), os.path.join("b", "2.png")]
    assert dataset.images == [os.path.join(str(tmp_path), "images", name) for name in names]
    assert dataset.masks == [os.path.join(str(tmp_path), "masks", name) for name in names]
    assert len(dataset) == 3 and dataset.CLASSES is None and dataset.PALETTE is None
    sample = dataset[1]
    assert sample["ori_filename"] == names[1] and sample["filename"] == dataset.images[1]
    np.testing.assert_array_equal(sample["img"][:, :, 0], sample["gt_semantic_seg"] * 10)
    with pytest.raises(IndexError):
        dataset[3]


def test_custom_dataset_takes_a_split(tmp_path):
    write_pairs(tmp_path, [(4, 5)] * 3, names=["a_img", "中 文_img", "c_img"])
    (tmp_path / "val.txt").write_text("中 文\n\na\n", encoding="utf-8")
    (tmp_path / "masks" / "a_img.png").rename(tmp_path / "masks" / "a_mask.png")
    dataset = custom(tmp_path, split="val.txt", img_suffix="_img.png", seg_map_suffix="_mask.png")
    assert [os.path.basename(path) for path in dataset.images] == ["中 文_img.png", "a_img.png"]
    assert [os.path.basename(path) for path in dataset.masks] == ["中 文_mask.png", "a_mask.png"]
    assert dataset[1]["gt_semantic_seg"].shape == (4, 5)


def test_test_mode_gives_no_mask_to_the_pipeline_but_has_it(tmp_path):
    write_pairs(tmp_path, [(4, 5)])
    dataset = custom(tmp_path, test_mode=True, pipeline=LOAD[:1])
    assert "ann_info" not in dataset[0]
    np.testing.assert_array_equal(dataset.get_gt_seg_map(0), dataset[0]["img"][:, :, 0] // 10)
    bare = custom(tmp_path, test_mode=True, pipeline=LOAD[:1], ann_dir=None)
    assert bare.masks == [None] and bare[0]["img"].shape == (4, 5, 3)
    with pytest.raises(DataError, match=r"000\.png has no label mask"):
        bare.get_gt_seg_map(0)


def test_gt_seg_map_is_reduced_as_the_data_set_or_the_loader_says(tmp_path):
    write_pairs(tmp_path, [(9, 9)])
    raw = custom(tmp_path).get_gt_seg_map(0)
    reduced = np.where(raw == 0, 255, raw - 1)
    np.testing.assert_array_equal(custom(tmp_path, reduce_zero_label=True).get_gt_seg_map(0), reduced)
    loader = {"reduce_zero_label": True, "imdecode_backend": "cv2"}
    np.testing.assert_array_equal(custom(tmp_path, gt_seg_map_loader_cfg=loader).get_gt_seg_map(0), reduced)


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"img_dir": "gone"}, DataError, "folder of images .*gone does not exist"),
        ({"img_suffix": ".webp"}, DataError, "no image ending in '.webp'"),
        ({"split": "gone.txt"}, DataError, r"split file .*gone\.txt: No such file"),
        ({"split": "empty.txt"}, DataError, r"empty\.txt names no image"),
        ({"ann_dir": None}, ConfigError, "ann_dir is needed unless test_mode"),
        ({"classes": 5}, ConfigError, "classes must be a list of names"),
        ({"classes": ["a", "b", "a"]}, ConfigError, "'a' is named twice"),
        ({"classes": []}, ConfigError, "at least one class"),
        ({"classes": ["a", "b"], "palette": [[0, 0, 0]]}, ConfigError, "palette must be 2 colours"),
        ({"classes": ["a"], "palette": [[0, 0, 256]]}, ConfigError, "palette must be 1 colours"),
        ({"classes": ["a"], "palette": [["r", "g", "b"]]}, ConfigError, "palette must be 1 colours"),
        ({"file_client_args": {"backend": "ceph"}}, ConfigError, "file_client_args"),
        ({"img_sufix": ".png"}, ConfigError, "CustomDataset: .*img_sufix"),
    ],
)
def test_bad_data_sets(tmp_path, arguments, error, words):
    write_pairs(tmp_path, [(4, 5)])
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(error, match=words):
        custom(tmp_path, **arguments)


def test_index_dataset_with_any_names(tmp_path):
    names = ["街景 图/一 二", "plain", " leading", "x\u2028y"]
    pairs = write_pairs(tmp_path, [(4, 5)] * 4, names=names)
    index = tmp_path / "索引 index.tsv"
    index.write_bytes(("\ufeff" + "\r\n\n".join("\t".join(pair) for pair in pairs)).encode("utf-8"))
    dataset = IndexDataset(str(index), LOAD, classes=["a", "b", "c", "d"])
    assert [(dataset.images[i], dataset.masks[i]) for i in range(4)] == pairs
    for sample in (dataset[i] for i in range(4)):
        np.testing.assert_array_equal(sample["img"][:, :, 0], sample["gt_semantic_seg"] * 10)


def test_index_dataset_relative_to_data_root(tmp_path):
    pairs = write_pairs(tmp_path, [(4, 5)] * 2)
    write_index(tmp_path / "index.tsv", [("images/000.png", "masks/000.png"), pairs[1]])
    dataset = IndexDataset("index.tsv", LOAD, data_root=str(tmp_path))
    assert [os.path.normpath(path) for path in dataset.images] == [pair[0] for pair in pairs]
    assert dataset[0]["gt_semantic_seg"].shape == dataset[1]["gt_semantic_seg"].shape == (4, 5)


def test_index_dataset_in_test_mode(tmp_path):
    pairs = write_pairs(tmp_path, [(4, 5)] * 2)
    index = write_index(tmp_path / "candidates.tsv", [(pairs[0][0],), pairs[1]])
    dataset = build_dataset({"type": "IndexDataset", "index_file": index, "pipeline": LOAD[:1]}, {"test_mode": True})
    assert len(dataset) == 2 and dataset.masks == [None, pairs[1][1]]
    assert dataset[0]["img"].shape == (4, 5, 3)
    assert dataset.get_gt_seg_map(1).shape == (4, 5)
    assert len(IndexDataset(write_index(tmp_path / "none.tsv", []), LOAD, test_mode=True)) == 0


@pytest.mark.parametrize("line", ["a.png", "a.png\t", "\tm.png", "a.png\tm.png\tmore"])
def test_bad_index_lines_are_named(tmp_path, line):
    index = tmp_path / "index.tsv"
    index.write_text("ok.png\tok.png\n\n" + line + "\n")
    with pytest.raises(DataError, match=r"line 3 of the index file .*index\.tsv .* IMAGE<TAB>MASK is expected"):
        IndexDataset(str(index), LOAD)


def test_index_that_is_no_utf8_text(tmp_path):
    (tmp_path / "index.tsv").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match=r"index\.tsv"):
        IndexDataset(str(tmp_path / "index.tsv"), LOAD)


NAME = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\t\n\r\0\ufeff"), min_size=1)


@settings(max_examples=80, deadline=None)
@given(
    pairs=st.lists(st.tuples(NAME, NAME).filter(lambda pair: pair[0].strip() and pair[1].strip())),
    end=st.sampled_from(["\n", "\r\n", "\n\n", "\n  \n"]),
)
def test_any_names_come_back_from_an_index(tmp_path_factory, pairs, end):
    path = tmp_path_factory.getbasetemp() / "any-index.tsv"
    path.write_bytes("".join(f"{image}\t{mask}{end}" for image, mask in pairs).encode("utf-8"))
    assert read_index(str(path), masks_required=True) == pairs


def test_draws_are_repeatable_and_depend_on_seed_and_position_alone(tmp_path):
    pairs = write_pairs(tmp_path, [(16, 16)] * 2)
    dataset = IndexDataset(write_index(tmp_path / "index.tsv", pairs), RANDOM)

    def same(a, b):
        return np.array_equal(dataset[a]["img"], dataset[b]["img"])

    assert same(Draw(seed=3, position=7, index=1), Draw(seed=3, position=7, index=1))
    assert not same(Draw(3, 7, 1), Draw(3, 8, 1))
    assert not same(Draw(3, 7, 1), Draw(4, 7, 1))
    assert same(1, Draw(0, 1, 1))


def test_missing_files_are_named(tmp_path):
    pairs = write_pairs(tmp_path, [(4, 4)] * 2)
    os.remove(pairs[0][0])
    os.remove(pairs[1][1])
    dataset = IndexDataset(write_index(tmp_path / "index.tsv", pairs), LOAD)
    with pytest.raises(ImageError, match=r"images.000\.png"):
        dataset[0]
    with pytest.raises(DataError, match=r"masks.001\.png"):
        dataset[1]


def test_ids_beyond_the_classes_are_refused(tmp_path):
    pairs = write_pairs(tmp_path, [(9, 9)], num_classes=4)
    dataset = IndexDataset(write_index(tmp_path / "index.tsv", pairs), LOAD, classes=["a", "b", "c"])
    with pytest.raises(DataError, match=r"000\.png holds the id 3, but there are 3 classes"):
        dataset[0]


def test_cityscapes_classes_and_a_choice_of_them(tmp_path):
    ids = np.array([[0, 1, 13, 255]], np.uint8)
    write_image(tmp_path / "img" / "a" / "x_leftImg8bit.png", np.zeros((1, 4, 3), np.uint8))
    write_image(tmp_path / "ann" / "a" / "x_gtFine_labelTrainIds.png", ids)
    cfg = {
        "type": "CityscapesDataset",
        "img_dir": "img",
        "ann_dir": "ann",
        "data_root": str(tmp_path),
        "pipeline": LOAD,
    }
    dataset = build_dataset(cfg)
    assert len(dataset.CLASSES) == len(dataset.PALETTE) == 19 and dataset.label_map is None
    assert dataset[0]["gt_semantic_seg"].tolist() == ids.tolist()

    chosen = build_dataset(dict(cfg, classes=["car", "road"]))
    assert chosen.CLASSES == ("car", "road") and chosen.PALETTE == [[0, 0, 142], [128, 64, 128]]
    assert chosen[0]["gt_semantic_seg"].tolist() == [[1, 255, 0, 255]]
    assert chosen.get_gt_seg_map(0).tolist() == [[1, 255, 0, 255]]
    assert CityscapesDataset.CLASSES[13] == "car"  # the choice changes the instance alone
    with pytest.raises(ConfigError, match="'boat' is none of the classes of CityscapesDataset"):
        build_dataset(dict(cfg, classes=["boat"]))


def test_classes_from_a_file_and_palettes(tmp_path):
    write_pairs(tmp_path, [(4, 5)])
    (tmp_path / "classes.txt").write_text("天空\nroad\n", encoding="utf-8")
    dataset = custom(tmp_path, classes=str(tmp_path / "classes.txt"))
    assert dataset.CLASSES == ("天空", "road") and generate_palette(2) == dataset.PALETTE
    assert custom(tmp_path, classes=["a"], palette=[(1, 2, 3)]).PALETTE == [[1, 2, 3]]


def test_generated_palette():
    palette = generate_palette(255)
    assert len({tuple(colour) for colour in palette}) == 255
    assert all(0 <= channel <= 255 for colour in palette for channel in colour)
    assert all(len(set(colour)) > 1 for colour in palette)  # no greys
    assert palette[:7] == generate_palette(7) and generate_palette(0) == []
    first = np.array(palette[:12])
    distances = np.abs(first[:, None] - first[None]).sum(2) + 999 * np.eye(12, dtype=int)
    assert distances.min() > 60


def test_unknown_data_set():
    with pytest.raises(ConfigError, match="no dataset of type 'CityscapeDataset'; did you mean CityscapesDataset"):
        build_dataset({"type": "CityscapeDataset"})
