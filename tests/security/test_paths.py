"""Names that come with the data lead neither a reader nor a writer to another folder."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ymir.annotations.coco import draw_label_mask, read_coco
from ymir.index import read_candidate_index
from ymir.picture_names import PictureNames

LEADING_OUT = ["../../etc/passwd", "/etc/passwd", "a/../../b/passwd", "./../passwd", "..//passwd"]


@pytest.mark.parametrize("file_name", LEADING_OUT)
def test_annotations_are_of_the_base_name_and_open_nothing(file_name, tmp_path):
    content = {
        "images": [{"id": 1, "file_name": file_name, "width": 2, "height": 2}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": {"size": [2, 2], "counts": [1, 3]}}],
    }
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content))
    coco = read_coco(path)
    assert "passwd" in coco and file_name not in coco
    assert np.array_equal(draw_label_mask(coco, "passwd", (2, 2), ["a"]), [[0, 1], [1, 1]])


@given(st.lists(st.text(st.sampled_from("./ab"), min_size=1, max_size=12), min_size=1, max_size=6, unique=True))
def test_pictures_about_images_stay_in_their_folder(images):
    names = PictureNames(images)
    for position in range(len(images)):
        file = names[position] + ".png"
        assert os.sep not in file
        assert os.path.dirname(os.path.normpath(os.path.join("/out/predictions", file))) == "/out/predictions"


def test_an_index_keeps_the_paths_as_they_stand(tmp_path):
    """The index is the platform's: what it names is read, and named as it is in the result."""
    index = tmp_path / "candidate-index.tsv"
    index.write_text("/in/assets/../assets/a.jpg\n/in/assets/b/../c.jpg\n")
    assert list(read_candidate_index(index)) == ["/in/assets/../assets/a.jpg", "/in/assets/b/../c.jpg"]
