import json

import pytest
import yaml

from ymir.results import MAX_STAGES, Stage, write_infer_result, write_mining_result, write_training_result


def stage(name, miou, timestamp=1667802743):
    return Stage(name=name, files=("model.py", f"{name}.pth"), timestamp=timestamp, miou=miou, macc=0.7)


def test_result_yaml_has_the_keys_of_the_contract(tmp_path):
    path = tmp_path / "models" / "result.yaml"
    write_training_result(path, [stage("best", 0.64), stage("last", 0.6)], best="best", evaluation={"aAcc": 0.9})
    result = yaml.safe_load(path.read_text())
    assert result["best_stage_name"] == "best"
    assert result["mIoU"] == result["map"] == 0.64
    assert result["evaluate_config"] == {"aAcc": 0.9}
    assert result["model_stages"]["last"] == {
        "stage_name": "last",
        "files": ["model.py", "last.pth"],
        "timestamp": 1667802743,
        "mIoU": 0.6,
        "mAcc": 0.7,
        "mAP": 0.6,
    }


def test_result_yaml_drops_the_oldest_stages_but_never_the_best_or_the_last(tmp_path):
    path = tmp_path / "result.yaml"
    stages = [stage("best", 0.9), *(stage(f"iter_{i}", 0.1) for i in range(20)), stage("last", 0.2)]
    write_training_result(path, stages, best="best", evaluation={})
    names = list(yaml.safe_load(path.read_text())["model_stages"])
    assert names == ["best", *(f"iter_{i}" for i in range(20 - MAX_STAGES + 2, 20)), "last"]
    assert len(names) == MAX_STAGES


def test_result_tsv_repeats_the_paths(tmp_path):
    path = tmp_path / "result.tsv"
    write_mining_result(path, [("/in/图 1.jpg", 1.5), ("/in/b.jpg", 1e-20), ("/in/c.jpg", 0.0)])
    assert path.read_text(encoding="utf-8") == "/in/图 1.jpg\t1.5\n/in/b.jpg\t1e-20\n/in/c.jpg\t0\n"


def test_infer_result_lists_every_candidate_and_numbers_what_it_found(tmp_path):
    path = tmp_path / "infer-result.json"
    found = {
        "category_id": 2,
        "bbox": [0.0, 0.0, 1.0, 1.0],
        "area": 1,
        "iscrowd": 0,
        "segmentation": {"size": [2, 2], "counts": "013"},
    }
    images = [
        ("/in/sub/a 图.jpg", {"height": 2, "width": 2, "annotations": [found, found]}),
        ("/in/b.jpg", {"height": 3, "width": 5, "annotations": []}),
        ("/in/c.jpg", {"height": 2, "width": 2, "annotations": [found]}),
    ]
    write_infer_result(path, ["road", "车"], iter(images))
    result = json.loads(path.read_text(encoding="utf-8"))
    assert [(c["id"], c["name"]) for c in result["categories"]] == [(1, "road"), (2, "车")]
    assert [(i["id"], i["file_name"], i["width"], i["height"]) for i in result["images"]] == [
        (1, "a 图.jpg", 2, 2),
        (2, "b.jpg", 5, 3),
        (3, "c.jpg", 2, 2),
    ]
    assert [(a["id"], a["image_id"]) for a in result["annotations"]] == [(1, 1), (2, 1), (3, 3)]
    assert {k: v for k, v in result["annotations"][0].items() if k not in ("id", "image_id")} == found


def test_a_result_that_cannot_be_completed_leaves_the_old_one(tmp_path):
    path = tmp_path / "result.tsv"
    write_mining_result(path, [("/a", 1.0)])

    def broken():
        yield "/b", 2.0
        raise RuntimeError("disk gone")

    with pytest.raises(RuntimeError, match="disk gone"):
        write_mining_result(path, broken())
    assert path.read_text() == "/a\t1\n"
    assert [p.name for p in tmp_path.iterdir()] == ["result.tsv"]
