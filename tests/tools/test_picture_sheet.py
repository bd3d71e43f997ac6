import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmseg.datasets.palette import generate_palette
from tools.demo_coco import compressed_rle
from tools.demo_data import write_data
from tools.demo_task import write_predict_task
from tools.picture_sheet import UNLABELLED, draw_sheet, mean_iou, read_rows
from tools.street_scenes import CLASSES
from ymir.index import read_candidate_index
from ymir.results import write_infer_result, write_mining_result
from ymir.task import read_env

COMMAND = Path(__file__).parents[2] / "tools" / "picture_sheet.py"
ROAD, CAR = CLASSES.index("road"), CLASSES.index("car")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("sheet")
    write_data(root, train=1, val=1, candidates=5, seed=2, size=(64, 48))
    return root


def predicted(root, name, **jobs):
    """A predict task with its outputs: in each image the upper half is nothing, below it is road left and car right."""
    env_path = write_predict_task(root, class_names=CLASSES, name=name, **jobs)
    output = read_env(env_path).output
    images = read_candidate_index(read_env(env_path).input.candidate_index_file)
    class_map = np.full((48, 64), UNLABELLED, np.uint8)
    class_map[24:] = CAR
    class_map[24:, :32] = ROAD
    found = [{"category_id": index + 1, "segmentation": compressed_rle(class_map == index)} for index in (ROAD, CAR)]
    answer = {"height": 48, "width": 64, "annotations": found}
    write_infer_result(output.infer_result_file, CLASSES, [(image, answer) for image in images])
    ranked = [(image, 5.0 - number) for number, image in enumerate(reversed(images))]
    write_mining_result(output.mining_result_file, ranked)
    regions = np.zeros((48, 64), np.uint8)
    regions[10:20, 30:40] = 255
    (output.root_dir / "masks").mkdir()
    for image, _ in ranked[:2]:
        cv2.imwrite(str(output.root_dir / "masks" / f"{Path(image).stem}.png"), regions)
    return env_path, class_map, regions > 0, images


def test_rows_hold_what_the_task_left(root):
    env_path, class_map, regions, images = predicted(root, "rows")
    rows, names = read_rows(env_path, root / "in" / "candidate-labels", 3)
    assert names == list(CLASSES)
    assert [row.rank for row in rows] == [1, 3, 5] and [row.score for row in rows] == [5.0, 3.0, 1.0]
    assert [row.name for row in rows] == [Path(images[place]).name for place in (4, 2, 0)]
    for row in rows:
        np.testing.assert_array_equal(row.prediction, class_map)
        np.testing.assert_array_equal(row.image[..., ::-1], cv2.imread(str(root / "in" / "assets" / row.name)))
        label = cv2.imread(str(root / "in" / "candidate-labels" / f"{row.name[:-4]}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(row.label, label)
    np.testing.assert_array_equal(rows[0].regions, regions)
    assert rows[1].regions is None and rows[2].regions is None


def pixels_of(path, colour):
    sheet = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return int((np.abs(sheet.astype(int) - colour).max(axis=-1) <= 1).sum())


def test_the_sheet_shows_labels_and_predictions_in_the_colours_of_the_legend(root, tmp_path):
    env_path, _, _, _ = predicted(root, "colours")
    rows, names = read_rows(env_path, root / "nowhere", 2)
    assert all(row.label is None for row in rows)
    draw_sheet(rows, names, tmp_path / "predictions.png", "Only predictions")
    palette = np.array(generate_palette(len(CLASSES)))
    road, sky = (pixels_of(tmp_path / "predictions.png", palette[CLASSES.index(name)]) for name in ("road", "sky"))
    assert road > 20 * sky > 0, "the sky is in the legend alone"
    rows, names = read_rows(env_path, root / "in" / "candidate-labels", 2)
    draw_sheet(rows, names, tmp_path / "both.png", "With labels")
    assert pixels_of(tmp_path / "both.png", palette[CLASSES.index("sky")]) > 10 * sky
    one, two = (cv2.imread(str(tmp_path / name)).shape[1] for name in ("predictions.png", "both.png"))
    assert two > one, "the labels have a column of their own"


@pytest.mark.parametrize("missing", ["run_mining", "run_infer"])
def test_a_task_of_one_job_has_a_sheet_too(root, tmp_path, missing):
    env_path, _, _, _ = predicted(root, f"without_{missing}", **{missing: False})
    rows, names = read_rows(env_path, root / "in" / "candidate-labels", 9)
    assert len(rows) == 5
    assert all((row.score is None and row.regions is None) == (missing == "run_mining") for row in rows[:2])
    assert all((row.prediction is None) == (missing == "run_infer") for row in rows)
    draw_sheet(rows, names, tmp_path / "sheet.png", "One job")
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None


def test_the_command_writes_the_sheet_into_the_output_folder(root, tmp_path):
    predicted(root, "command")
    command = [sys.executable, str(COMMAND), "--task-root", str(root), "--task", "command", "--rows", "2"]
    run = subprocess.run(command, check=True, cwd=tmp_path, stdout=subprocess.PIPE)
    path = Path(run.stdout.decode().strip())
    assert path == root / "command" / "out" / "picture-sheet.png"
    sheet = cv2.imread(str(path))
    assert sheet.shape[0] > 500 and sheet.shape[1] > 1200


def test_mean_iou_leaves_out_unlabelled_pixels_and_classes_that_do_not_occur():
    label = np.array([[0, 0, 1, 1], [255, 255, 1, 1]])
    prediction = np.array([[0, 1, 1, 1], [0, 2, 255, 1]])
    # class 0: 1 of 2; class 1: 3 of 5 (one taken from class 0, one not found); class 2 only where nobody knows
    assert mean_iou([label], [prediction], 4) == pytest.approx((1 / 2 + 3 / 5) / 2)
