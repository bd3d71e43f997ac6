"""env.yaml and config.yaml as files, the output folder, index files."""

import shutil

from tests.end_to_end.bad_inputs.row import BadInput
from tests.end_to_end.bad_inputs.spoiling import (
    data,
    env,
    folder,
    many_candidates,
    more_lines,
    pipe,
    remove,
    text,
)
from tests.end_to_end.bad_inputs.task_folder import TaskFolder

_LINE = "IMAGE<TAB>ANNOTATION"


def _out_is_a_file(task: TaskFolder) -> None:
    shutil.rmtree(str(task.out))
    task.out.write_text("a file in place of the folder")


def _out_is_a_link_to_nowhere(task: TaskFolder) -> None:
    shutil.rmtree(str(task.out))
    task.out.symlink_to(task.root / "gone")


_FILES = [
    BadInput(
        "config.yaml is not there",
        "infer",
        300001,
        ("cannot read", "config.yaml"),
        lambda task: (folder("config.yaml")(task), task.config_file.rmdir()),
        process=True,
    ),
    BadInput("config.yaml is a folder", "infer", 300001, ("cannot read", "config.yaml"), folder("config.yaml")),
    BadInput(
        "config.yaml is no YAML",
        "training",
        300001,
        ("config.yaml is not valid YAML",),
        text("config.yaml", "a: [1\nb: }"),
    ),
    BadInput(
        "config.yaml is a list",
        "training",
        300001,
        ("config.yaml must hold 'key: value'", "list"),
        text("config.yaml", "- 1"),
    ),
    BadInput(
        "config.yaml is not UTF-8",
        "mining",
        300001,
        ("config.yaml is not valid YAML",),
        data("config.yaml", b"a: \xff\xfe"),
    ),
    BadInput(
        "config.yaml would run code",
        "mining",
        300001,
        ("config.yaml is not valid YAML",),
        text("config.yaml", "a: !!python/object/apply:os.system [ls]"),
    ),
    BadInput(
        "config.yaml is a pipe",
        "mining",
        300001,
        ("cannot read", "config.yaml", "no regular file"),
        pipe("config.yaml"),
    ),
    BadInput(
        "config.yaml has a key twice",
        "training",
        300001,
        ("config.yaml is not valid YAML: line 2: the key 'max_iters' is there twice",),
        text("config.yaml", "max_iters: 2\nmax_iters: 3\n"),
    ),
    BadInput(
        "env.yaml is not there",
        "infer",
        300001,
        ("cannot read", "env.yaml"),
        lambda task: (folder("env.yaml")(task), task.env_file.rmdir()),
        process=True,
        record=False,
    ),
    BadInput(
        "env.yaml is no YAML", "infer", 300001, ("env.yaml is not valid YAML",), text("env.yaml", "{"), record=False
    ),
    BadInput("env.yaml is a text", "infer", 300001, ("env.yaml must hold",), text("env.yaml", "task"), record=False),
    BadInput(
        "env.yaml has a text for its input",
        "infer",
        300001,
        ("env.yaml: input is 'x'",),
        env(lambda e: e.update(input="x")),
        record=False,
    ),
    BadInput(
        "env.yaml has a number for a path",
        "infer",
        300001,
        ("env.yaml", "models_dir"),
        env(lambda e: e["input"].update(models_dir=5)),
        record=False,
    ),
    BadInput(
        "env.yaml has a word for a truth value",
        "infer",
        300001,
        ("env.yaml", "run_infer is 'perhaps'"),
        env(lambda e: e.update(run_infer="perhaps")),
        record=False,
    ),
    BadInput(
        "env.yaml has two wrong values",
        "infer",
        300001,
        ("env.yaml", "run_training is 'perhaps'", "run_infer is 'never'"),
        env(lambda e: e.update(run_training="perhaps", run_infer="never")),
        record=False,
    ),
    BadInput(
        "env.yaml has a NUL character in a path",
        "infer",
        300001,
        ("env.yaml: input.candidate_index_file is 'a\\x00'", "NUL"),
        env(lambda e: e["input"].update(candidate_index_file="a\0")),
        record=False,
    ),
    BadInput(
        "env.yaml has a list for its root folder",
        "infer",
        300001,
        ("env.yaml", "root_dir is [1]"),
        env(lambda e: e["input"].update(root_dir=[1])),
        record=False,
    ),
    BadInput(
        "env.yaml has a task_id of two lines",
        "infer",
        300001,
        ("env.yaml: task_id is 'a\\nb'", "without tabs and line breaks"),
        env(lambda e: e.update(task_id="a\nb")),
        record=False,
    ),
    BadInput(
        "env.yaml asks for nothing",
        "infer",
        300001,
        ("env.yaml asks for nothing",),
        env(lambda e: e.update(run_infer=False)),
    ),
    BadInput(
        "env.yaml asks for training and infer",
        "training",
        300001,
        ("training together with",),
        env(lambda e: e.update(run_infer=True)),
    ),
    BadInput(
        "env.yaml names no index",
        "training",
        300002,
        ("cannot read the index file", "train-index.tsv"),
        lambda task: (task.env["input"].update(training_index_file=""), task.path("train-index.tsv").unlink()),
    ),
    BadInput(
        "the output folder is a file",
        "infer",
        160004,
        ("cannot use", "out"),
        _out_is_a_file,
        record=False,
        process=True,
    ),
    BadInput(
        "the output folder is a link to nowhere",
        "infer",
        160004,
        ("cannot use", "out: Not a directory"),
        _out_is_a_link_to_nowhere,
        record=False,
    ),
    BadInput(
        "a folder is in the place of monitor.txt",
        "infer",
        160004,
        ("cannot use", "monitor.txt: Is a directory"),
        lambda task: (task.out / "monitor.txt").mkdir(),
        record=False,
    ),
    BadInput(
        "a folder is in the place of the result",
        "infer",
        160004,
        ("cannot use", "result.json: Is a directory"),
        lambda task: (
            (task.root / "result.json").mkdir(),
            task.env["output"].update(infer_result_file=str(task.root / "result.json")),
        ),
    ),
    BadInput(
        "the weights do not fit onto the disk",
        "training",
        160004,
        ("a file has reached the largest size", "while writing"),
        process=True,
        largest_file=200_000,
    ),
    BadInput(
        "the results do not fit onto the disk",
        "infer",
        160004,
        ("a file has reached the largest size", "while writing"),
        many_candidates,
        process=True,
        largest_file=10_000,
    ),
]

_INDEXES = [
    BadInput(
        "an index is not there",
        "training",
        300002,
        ("val-index.tsv", "No such file"),
        remove("val-index.tsv"),
        process=True,
    ),
    BadInput(
        "an index is a folder", "training", 300002, ("train-index.tsv", "Is a directory"), folder("train-index.tsv")
    ),
    BadInput("an index is a pipe", "infer", 300002, ("candidate-index.tsv", "regular"), pipe("candidate-index.tsv")),
    BadInput("an index is empty", "training", 300002, ("train-index.tsv names no image",), text("train-index.tsv", "")),
    BadInput(
        "an index has blank lines alone",
        "infer",
        300002,
        ("candidate-index.tsv names no image",),
        text("candidate-index.tsv", "\n  \n"),
    ),
    BadInput(
        "an index is not UTF-8",
        "infer",
        300002,
        ("candidate-index.tsv", "line 1"),
        data("candidate-index.tsv", b"/a\xff.jpg\n"),
    ),
    BadInput(
        "a line without an annotation",
        "training",
        300002,
        ("train-index.tsv, line 3: expected " + _LINE,),
        more_lines("train-index.tsv", "{in}/x.jpg\n"),
    ),
    BadInput(
        "a line of three fields",
        "training",
        300002,
        ("val-index.tsv, line 2: expected " + _LINE,),
        more_lines("val-index.tsv", "a\tb\tc\n"),
    ),
    BadInput(
        "a candidate with a tab",
        "mining",
        300002,
        ("candidate-index.tsv, line 2", "without a tab", "a b\\tc.jpg"),
        more_lines("candidate-index.tsv", "{in}/a b\tc.jpg\n"),
    ),
    BadInput(
        "two images of one base name",
        "infer",
        300002,
        ("two images are called 'candidate-000.jpg'", "unique"),
        more_lines("candidate-index.tsv", "{in}/more/candidate-000.jpg\n"),
    ),
]

ROWS = [*_FILES, *_INDEXES]
