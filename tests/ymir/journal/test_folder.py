from ymir.journal.folder import JournalFolder
from ymir.journal.records import JournalWriter


def test_what_other_tasks_left_is_removed_and_the_own_is_kept(tmp_path):
    root = tmp_path / "journal"
    other, own = JournalFolder(root, "other"), JournalFolder(root, "own")
    for folder in (other, own):
        folder.path.mkdir(parents=True)
        with JournalWriter(folder.file(0, 0)) as writer:
            writer.append(0, [(0, 1, b"x")])
    (root / "0.journal").write_bytes(b"of an older version")
    own.claim()
    assert [path.name for path in root.iterdir()] == ["own"]
    with own.read(1) as journal:
        assert journal.read(0, 1) == b"x"
    own.remove()
    assert not root.exists()


def test_files_are_in_the_order_of_attempts_and_processes(tmp_path):
    folder = JournalFolder(tmp_path / "journal", "own")
    folder.claim()
    assert folder.next_attempt() == 0 and folder.files() == []
    places = [(10, 1), (2, 11), (2, 3), (0, 0)]
    for place in places:
        folder.file(*place).touch()
    (folder.path / "array.scratch").touch()
    assert folder.files() == [folder.file(*place) for place in sorted(places)]
    assert folder.next_attempt() == 11
