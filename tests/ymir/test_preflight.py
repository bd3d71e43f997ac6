"""Everything that is wrong is reported at once, with file and line."""

import json
import logging
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from mmseg.errors import ImageError
from tests.ymir.task_files import make_task, write_image
from ymir.annotations.files import AnnotationFiles
from ymir.dataset import convert_annotations
from ymir.index_problems import count_lines, index_lines
from ymir.preflight import preflight_prediction, preflight_training
from ymir.problems import InputError, Problem, Problems

CLASSES = ["road", "car"]
FULL = {"size": [8, 10], "counts": [0, 80]}


def write_training(folder, count=3, **config):
    """A training of `count` images in each split, all right."""
    annotations = folder / "in" / "annotations" / "coco.json"
    coco = {
        "images": [],
        "categories": [{"id": 1, "name": "road"}, {"id": 2, "name": "car"}, {"id": 3, "name": "dragon"}],
        "annotations": [],
    }
    for split in ("train", "val"):
        lines = []
        for number in range(count):
            image = write_image(folder / "in" / "assets" / f"{split} {number}.png")
            image_id = len(coco["images"]) + 1
            coco["images"].append({"id": image_id, "file_name": image.name})
            coco["annotations"].append({"id": image_id, "image_id": image_id, "category_id": 1, "segmentation": FULL})
            lines.append(f"{image}\t{annotations}\n")
        (folder / "in" / f"{split}-index.tsv").write_text("".join(lines))
    annotations.parent.mkdir()
    annotations.write_text(json.dumps(coco))
    return make_task(folder, config={"class_names": CLASSES, **config}, run_training=True)


def problems_of(check, task, code):
    """The sentences in problems.txt and the exception's own."""
    with pytest.raises(InputError) as caught:
        check(task, lambda _: None)
    assert caught.value.return_code == code
    lines = (task.env.output.root_dir / "problems.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0].split("\t")[0] == str(code)
    sentences = [line.split("\t", 1)[1] for line in lines]
    assert sentences[0] in str(caught.value)
    return sentences, str(caught.value)


def test_a_sound_training_passes_and_its_annotations_are_read_once(tmp_path):
    task, seen = write_training(tmp_path), []
    (tmp_path / "out" / "problems.txt").write_text("of an earlier run")
    files = AnnotationFiles.of(task)
    preflight_training(task, seen.append, files)
    assert seen == sorted(seen) and seen[-1] == 1.0
    assert not (tmp_path / "out" / "problems.txt").exists()
    coco = files.coco(str(tmp_path / "in" / "annotations" / "coco.json"))
    convert_annotations(task, lambda _: None, files)
    assert files.coco(str(tmp_path / "in" / "annotations" / "coco.json")) is coco


def test_all_problems_of_a_training_are_reported_at_once(tmp_path):
    task = write_training(tmp_path, args_options="--resume-from gone.pth", pretrained_model_params=["gone.pth"])
    root = tmp_path / "in"
    train, val = root / "train-index.tsv", root / "val-index.tsv"
    (root / "assets" / "train 0.png").unlink()
    (root / "assets" / "val 2.png").write_bytes(b"")
    train.write_text(train.read_text() + "\nonly one field\n")
    annotations = root / "annotations" / "coco.json"
    coco = json.loads(annotations.read_text())
    coco["annotations"][1]["segmentation"] = {"size": [8, 10], "counts": [0, 81]}
    coco["annotations"][4]["segmentation"] = [[1, 2, 3, float("nan"), 5, 6]]
    # Neither of these is a problem: another class, an image that is not in the index, an odd box.
    coco["annotations"][2].update(category_id=3, segmentation="odd")
    coco["annotations"][3]["bbox"] = [float("nan"), float("inf"), None, "x"]
    coco["annotations"].append({"id": 99, "image_id": 99, "category_id": 1, "segmentation": "odd"})
    annotations.write_text(json.dumps(coco))

    sentences, record = problems_of(preflight_training, task, 300004)
    expected = [
        ("pretrained_model_params names", "gone.pth, which is not a file"),
        ("args_options names --resume-from gone.pth, which is not a file",),
        (f"{train}, line 5: expected IMAGE<TAB>ANNOTATION, found 'only one field'",),
        (f"{train}, line 2: {annotations}: annotation 2 of train 1.png: the run lengths",),
        (f"{val}, line 2: {annotations}: annotation 5 of val 1.png: a polygon", "nan"),
        (f"{train}, line 1: the image {root}/assets/train 0.png cannot be read: No such file",),
        (f"{val}, line 3: the image {root}/assets/val 2.png cannot be read: the file is empty",),
    ]
    assert len(sentences) == len(expected), sentences
    for sentence, words in zip(sentences, expected):
        assert all(word in sentence for word in words), sentence
    assert record.startswith(f"7 problems with the input, all listed in {tmp_path}/out/problems.txt: ")
    assert record.endswith("; and 4 more")


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ({"config_file": "configs/none.py"}, 300001, "configs/none.py"),
        ({"args_options": "--gpus 2"}, 300001, "--gpus"),
        ({"cfg_options": "lr"}, 300001, "lr"),
    ],
)
def test_one_problem_is_its_own_sentence(tmp_path, config, code, words):
    sentences, record = problems_of(preflight_training, write_training(tmp_path, **config), code)
    assert sentences == [record]
    assert words in record


def test_every_fault_of_an_annotation_file_is_reported(tmp_path):
    task = write_training(tmp_path)
    annotations = tmp_path / "in" / "annotations" / "coco.json"
    coco = json.loads(annotations.read_text())
    coco["images"] += [{"id": 1, "file_name": "other.png"}, {"id": [1], "file_name": "a"}, {"id": 70}, 7]
    coco["categories"] += [{"id": 1, "name": "car"}, {"id": 8, "name": " "}]
    coco["annotations"] += [{"image_id": {}, "category_id": 1}, {"image_id": 1}, "x"]
    annotations.write_text(json.dumps(coco))
    sentences, _ = problems_of(preflight_training, task, 300002)
    assert len(sentences) == 9
    assert all(sentence.startswith(f"the annotation file {annotations}: ") for sentence in sentences)
    assert "the image id 1 is given to both 'train 0.png' and 'other.png'" in sentences[0]


def test_a_label_picture_is_checked_by_its_header(tmp_path):
    for split, shape in (("train", (8, 10)), ("val", (9, 10))):
        image = write_image(tmp_path / "in" / "assets" / f"{split}.jpg")
        mask = write_image(tmp_path / "in" / "annotations" / f"{split}.png", shape)
        (tmp_path / "in" / f"{split}-index.tsv").write_text(f"{image}\t{mask}\n")
    (tmp_path / "in" / "annotations" / "labelmap.txt").write_text("road:1,2,3::\n")
    task = make_task(tmp_path, config={"class_names": CLASSES, "export_format": "seg-mask:raw"}, run_training=True)
    sentences, record = problems_of(preflight_training, task, 300002)
    assert sentences == [record]
    assert f"{tmp_path}/in/val-index.tsv, line 1: the label mask" in record
    assert "is (9, 10) (height, width), but its image is (8, 10)" in record


def write_prediction(folder, count=4, **config):
    package = folder / "in" / "models"
    package.mkdir(parents=True)
    (package / "model.py").write_text("model = dict(type='EncoderDecoder')\n")
    torch.save({"state_dict": {"w": torch.zeros(1)}}, str(package / "model.pth"))
    images = [write_image(folder / "in" / "assets" / f"{n}.png") for n in range(count)]
    (folder / "in" / "candidate-index.tsv").write_text("".join(f"{image}\n" for image in images))
    files = [str(package / "model.py"), str(package / "model.pth")]
    config = {"class_names": CLASSES, "model_params_path": files, **config}
    return make_task(folder, config=config, run_infer=True)


def test_a_sound_prediction_passes(tmp_path):
    seen = []
    preflight_prediction(write_prediction(tmp_path, count=200), seen.append)
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) > 2


def test_all_problems_of_a_prediction_are_reported_at_once(tmp_path):
    task = write_prediction(tmp_path)
    root, index = tmp_path / "in", tmp_path / "in" / "candidate-index.tsv"
    (root / "models" / "model.py").write_text("lr = 1\n")
    (root / "models" / "model.pth").write_text("<html>404</html>")
    (root / "assets" / "1.png").write_bytes((root / "assets" / "1.png").read_bytes()[:60])
    with open(index, "a") as stream:
        stream.write(f"\n{root}/assets/2.png\tx\n{root}/other/0.png\n")
    shutil.copytree(root / "assets", root / "other")
    sentences, _ = problems_of(preflight_prediction, task, 300004)
    assert len(sentences) == 5, sentences
    assert "which is a web page, not a checkpoint" in sentences[0]
    assert "has no 'model'" in sentences[1]
    assert f"{index}, line 6: expected one image path without a tab" in sentences[2]
    assert f"{index}, line 7: two images are called '0.png': {root}/assets/0.png (line 1)" in sentences[3]
    assert f"{index}, line 2: the image {root}/assets/1.png" in sentences[4]


def test_bad_candidates_that_are_skipped_are_warnings(tmp_path, caplog):
    task = write_prediction(tmp_path, count=30, on_bad_image="skip")
    for number in range(20):
        (tmp_path / "in" / "assets" / f"{number}.png").write_bytes(b"no image")
    with caplog.at_level(logging.WARNING):
        preflight_prediction(task, lambda _: None)
    assert len(caplog.messages) == 11
    assert f"{tmp_path}/in/candidate-index.tsv, line 1 is skipped: " in caplog.messages[0]
    assert caplog.messages[-1] == "20 of 30 candidates cannot be read and are skipped"


def test_nothing_is_skipped_where_no_candidate_can_be_read(tmp_path):
    task = write_prediction(tmp_path, count=2, on_bad_image="skip")
    for number in range(2):
        (tmp_path / "in" / "assets" / f"{number}.png").write_bytes(b"no image")
    sentences, _ = problems_of(preflight_prediction, task, 300003)
    assert len(sentences) == 2


def test_too_many_pixels_are_refused_by_the_header(tmp_path):
    task = write_prediction(tmp_path, max_image_pixels=79)
    sentences, _ = problems_of(preflight_prediction, task, 300003)
    assert len(sentences) == 4
    assert "10 wide and 8 high, that is 80 pixels, but max_image_pixels allows 79" in sentences[0]


@pytest.mark.parametrize(
    ("content", "sentences"),
    [
        (b"\xef\xbb\xbf/a b.jpg\r\n\n /c.jpg\n", []),
        (b"", ["names no image"]),
        (b"\n \n", ["names no image"]),
        (b"/a.jpg\n/\xff.jpg\n/b.jpg\t\n", ["line 2: expected one image path without a tab, found b'/", "line 3: exp"]),
        (b"/x/a.jpg\n/b.jpg\n/y/a.jpg\n/z/a.jpg\n", ["line 3: two images are called 'a.jpg'", "line 4: two images"]),
        (b"/a\0b.jpg\n", ["line 1: expected"]),
    ],
)
def test_index_lines(tmp_path, content, sentences):
    path, problems = tmp_path / "index.tsv", Problems()
    path.write_bytes(content)
    lines = list(index_lines(path, ("IMAGE",), problems))
    assert [problem.return_code for problem in problems] == [300002] * len(sentences)
    for problem, words in zip(problems, sentences):
        assert words in problem.sentence and str(path) in problem.sentence
    if not sentences:
        assert [(line.number, line.fields[0]) for line in lines] == [(1, "/a b.jpg"), (3, " /c.jpg")]
    assert count_lines(path) >= len(lines)


def test_an_index_that_is_not_there(tmp_path):
    for path, words in ((tmp_path / "gone.tsv", "No such file"), (tmp_path, "Is a directory"), ("", "names no index")):
        problems = Problems()
        assert not list(index_lines(path, ("IMAGE",), problems))
        (problem,) = problems
        assert words in problem.sentence


def test_the_error_goes_from_one_process_to_another():
    error = InputError([Problem(300003, "a"), Problem(300001, "b")], Path("/out/problems.txt"))
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "2 problems with the input, all listed in /out/problems.txt: a; b"
    assert again.return_code == error.return_code == 300003


def test_the_file_of_problems_holds_no_control_characters(tmp_path):
    problems = Problems()
    problems.add(ImageError("\x1b[2J\ud800"), "a\x1b[2J\ud800")
    with pytest.raises(InputError):
        problems.raise_any(tmp_path)
    text = (tmp_path / "problems.txt").read_text(encoding="utf-8")
    assert text == "300003\ta\\x1b[2J\\ud800: \\x1b[2J\\ud800\n"


def test_only_what_is_raised_on_purpose_is_collected():
    problems = Problems()
    with problems.collecting():
        raise ImageError("x")
    with pytest.raises(ZeroDivisionError), problems.collecting():
        _ = 1 / 0
    assert [(problem.return_code, problem.sentence) for problem in problems] == [(300003, "x")]
