import pytest
from hypothesis import given
from hypothesis import strategies as st

from ymir.errors import DatasetError
from ymir.index import IndexItem, read_annotated_index, read_candidate_index


def test_paths_keep_spaces_and_any_letters_and_blank_lines_are_skipped(tmp_path):
    path = tmp_path / "train-index.tsv"
    path.write_bytes("/a/ 图 像 1.jpg\t/ann/coco.json\n\n  \n/a/😀\u2028x \t/ann/coco.json\r\n".encode())
    assert read_annotated_index(path) == [
        IndexItem("/a/ 图 像 1.jpg", "/ann/coco.json"),
        IndexItem("/a/😀\u2028x ", "/ann/coco.json"),
    ]


@pytest.mark.parametrize("line", ["/a/b.jpg", "/a/b.jpg\t", "\t/ann.json", "/a\t/b\t/c"])
def test_a_training_line_without_two_fields_is_named(tmp_path, line):
    path = tmp_path / "train-index.tsv"
    path.write_text(f"/a/first.jpg\t/ann.json\n{line}\n")
    with pytest.raises(DatasetError, match="line 2: expected IMAGE<TAB>ANNOTATION"):
        read_annotated_index(path)


def test_a_candidate_line_with_a_tab_is_named(tmp_path):
    path = tmp_path / "candidate-index.tsv"
    path.write_text("/a/b.jpg\n/a\tb.jpg\n")
    with pytest.raises(DatasetError, match="line 2: expected one image path without a tab"):
        read_candidate_index(path)


def test_a_base_name_twice_is_refused(tmp_path):
    path = tmp_path / "candidate-index.tsv"
    path.write_text("/a/x.jpg\n/b/x.jpg\n")
    with pytest.raises(DatasetError, match="two images are called 'x.jpg'"):
        read_candidate_index(path)


@pytest.mark.parametrize(("content", "message"), [(b"\n \n", "names no image"), (b"\xff\xfe\x00", "is not UTF-8")])
def test_an_unusable_file_is_one_sentence(tmp_path, content, message):
    path = tmp_path / "candidate-index.tsv"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read_candidate_index(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match="cannot read the index file .*none.tsv"):
        read_candidate_index(tmp_path / "none.tsv")


names = st.text(st.characters(blacklist_characters="\t\n\r\x00/", blacklist_categories=("Cs",)), min_size=1).filter(
    lambda name: name.strip()
)


@given(st.lists(names, min_size=1, unique=True))
def test_every_name_comes_back_as_written(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("index") / "candidate-index.tsv"
    path.write_bytes("".join(f"/assets/{name}\n" for name in names).encode("utf-8"))
    assert read_candidate_index(path) == [f"/assets/{name}" for name in names]
