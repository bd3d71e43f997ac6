from pathlib import Path

import pytest
import yaml

from tests.ymir.task_files import make_task, write_env
from ymir.errors import ParameterError
from ymir.problems import InputError
from ymir.task import env_file, read_env, read_task


def test_missing_keys_of_env_have_the_defaults_of_the_contract(tmp_path):
    path = tmp_path / "env.yaml"
    path.write_text("task_id: t1\nrun_training: true\nsomething_new: {a: 1}\n")
    env = read_env(path)
    assert (env.task_id, env.run_training, env.run_mining, env.run_infer) == ("t1", True, False, False)
    assert env.input.assets_dir == Path("/in/assets")
    assert env.input.training_index_file == Path("/in/train-index.tsv")
    assert env.input.config_file == Path("/in/config.yaml")
    assert env.output.models_dir == Path("/out/models")
    assert env.output.training_result_file == Path("/out/models/result.yaml")
    assert env.output.infer_result_file == Path("/out/infer-result.json")
    assert env.output.monitor_file == Path("/out/monitor.txt")


def test_paths_follow_a_root_that_is_given_and_absolute_ones_stand(tmp_path):
    path = tmp_path / "env.yaml"
    values = {
        "input": {"root_dir": "/data/in", "models_dir": "m"},
        "output": {"root_dir": "/data/out", "monitor_file": "/x/monitor.txt"},
    }
    path.write_text(yaml.safe_dump({"run_infer": "true", "task_id": 7, **values}))
    env = read_env(path)
    assert env.task_id == "7"
    assert env.input.models_dir == Path("/data/in/m")
    assert env.input.candidate_index_file == Path("/data/in/candidate-index.tsv")
    assert env.output.mining_result_file == Path("/data/out/result.tsv")
    assert env.output.monitor_file == Path("/x/monitor.txt")


def test_env_file_comes_from_the_environment():
    assert env_file({}) == Path("/in/env.yaml")
    assert env_file({"DEFAULT_ENV_FILE_PATH": "/elsewhere/env.yaml"}) == Path("/elsewhere/env.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run_training: perhaps\n", "run_training is 'perhaps'"),
        ("- a\n", "must hold 'key: value' lines, but holds a list"),
        ("a: [\n", "is not valid YAML"),
        ("input: 3\n", "input is 3, but must hold 'key: value' lines"),
        ("input: {assets_dir: [1]}\n", "input.assets_dir is"),
    ],
)
def test_a_wrong_env_is_one_sentence(tmp_path, text, message):
    path = tmp_path / "env.yaml"
    path.write_text(text)
    with pytest.raises(ParameterError) as caught:
        read_env(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_env_names_the_file(tmp_path):
    with pytest.raises(ParameterError, match="cannot read .*nowhere.yaml"):
        read_env(tmp_path / "nowhere.yaml")


def test_a_task_has_the_tables_of_its_jobs_only(tmp_path):
    both = make_task(tmp_path, config={"class_names": ["a"], "samples_per_gpu": "3"}, run_mining=True, run_infer=True)
    assert both.training is None
    assert both.mining.samples_per_gpu == both.infer.samples_per_gpu == 3
    assert make_task(tmp_path, config={"class_names": ["a"]}, run_training=True).mining is None


@pytest.mark.parametrize(
    ("given", "ids"),
    [("", ()), (None, ()), ("0", (0,)), (0, (0,)), ("0,1", (0, 1)), (" 0 , 2 ", (0, 2)), ([0, 1], (0, 1))],
)
def test_gpu_ids(tmp_path, given, ids):
    assert make_task(tmp_path, config={"class_names": ["a"], "gpu_id": given}, run_infer=True).gpu_ids == ids


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "class_names is None"),
        ({"class_names": []}, "must be a list of at least one name"),
        ({"class_names": "cat"}, "must be a list"),
        ({"class_names": ["a", ""]}, "every entry must be a name"),
        ({"class_names": ["a", {"b": 1}]}, "every entry must be a name"),
        ({"class_names": ["a", "a"]}, "holds 'a' twice"),
        ({"class_names": ["ymir_background"]}, "the executor's own background class"),
        ({"class_names": [f"c{i}" for i in range(255)]}, "at most 254"),
        ({"class_names": ["a"], "gpu_id": "cuda:0"}, "gpu_id is 'cuda:0', but must be GPU numbers"),
        ({"class_names": ["a"], "gpu_id": "0,0"}, "names a GPU twice"),
        ({"class_names": ["a"], "gpu_id": "-1"}, "must be GPU numbers"),
        ({"class_names": ["a"], "model_params_path": 3}, "model_params_path is 3, but must be a list of file paths"),
        ({"class_names": ["a"], "samples_per_gpu": "x"}, "samples_per_gpu is 'x'"),
    ],
)
def test_a_wrong_config_names_file_key_and_value(tmp_path, config, message):
    with pytest.raises(InputError) as caught:
        make_task(tmp_path, config=config, run_infer=True)
    assert str(tmp_path / "in" / "config.yaml") in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [({}, "asks for nothing"), ({"run_training": True, "run_infer": True}, "training runs alone")],
)
def test_a_combination_of_jobs_that_does_not_exist(tmp_path, flags, message):
    with pytest.raises(InputError, match=message):
        make_task(tmp_path, config={"class_names": ["a"]}, **flags)


def test_model_files_are_absolute_or_below_the_models_folder(tmp_path):
    config = {
        "class_names": ["a"],
        "model_params_path": ["/m/a.pth", "best/b.py"],
        "pretrained_model_params": ["best/c.pth"],
    }
    task = make_task(tmp_path, config=config, run_infer=True)
    models = tmp_path / "in" / "models"
    assert task.model_files == (Path("/m/a.pth"), models / "best" / "b.py")
    assert task.pretrained_files == (models / "best" / "c.pth",)


def test_weights_dir_by_parameter_then_environment_then_default(tmp_path):
    environment = {"YMIR_WEIGHTS_DIR": "/env-weights"}
    config = {"class_names": ["a"]}
    by_parameter = make_task(tmp_path, environment, config={**config, "weights_dir": "/w"}, run_training=True)
    assert by_parameter.weights_dir == Path("/w")
    assert make_task(tmp_path, environment, config=config, run_training=True).weights_dir == Path("/env-weights")
    assert make_task(tmp_path, config=config, run_training=True).weights_dir == Path("/weights")


def test_an_unknown_key_is_a_warning(tmp_path):
    env = read_env(write_env(tmp_path, config={"class_names": ["a"], "max_iter": 3}, run_training=True))
    (warning,) = read_task(env, {}).warnings
    assert "max_iter is not a hyper-parameter" in warning
    assert "did you mean max_iters?" in warning


def test_everything_that_is_wrong_in_a_config_is_listed_at_once(tmp_path):
    config = {"class_names": [], "gpu_id": "x", "fp16": "maybe", "model_params_path": 3}
    with pytest.raises(InputError, match="4 problems with the input"):
        make_task(tmp_path, config=config, run_infer=True, run_mining=True)
    lines = (tmp_path / "out" / "problems.txt").read_text(encoding="utf-8").splitlines()
    assert all(line.startswith(f"300001\t{tmp_path / 'in' / 'config.yaml'}: ") for line in lines)
    for key in config:
        assert any(f"{key} is " in line for line in lines)


def test_a_key_may_stand_once(tmp_path):
    path = tmp_path / "env.yaml"
    path.write_text("task_id: a\nb: &b {x: 1, y: 2}\nother: &other {<<: *b, x: 3}\nlast: {<<: *other, x: 4}\n")
    assert read_env(path).task_id == "a"
    path.write_text("task_id: a\ninput:\n  root_dir: /x\n  root_dir: /y\n")
    with pytest.raises(ParameterError, match="env.yaml is not valid YAML: line 4: the key 'root_dir' is there twice"):
        read_env(path)
