import pytest

from ymir.errors import ParameterError
from ymir.training.arguments import TrainingArguments, parse_training_arguments


def test_the_options_people_know():
    text = (
        "--seed 25 --deterministic --no-validate --load-from 'a b.pth' --cfg-options optimizer.lr=0.1 x=2 --diff-seed"
    )
    assert parse_training_arguments(text) == TrainingArguments(
        seed=25,
        deterministic=True,
        validate=False,
        load_from="a b.pth",
        cfg_options=("optimizer.lr=0.1", "x=2"),
    )
    assert parse_training_arguments("") == TrainingArguments()
    assert parse_training_arguments("--resume-from=r.pth --auto-resume") == TrainingArguments(
        resume_from="r.pth", auto_resume=True
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--seeds 3", "unrecognized arguments: --seeds 3; allowed are"),
        ("--seed", "expected one argument"),
        ("--seed x", "invalid int value: 'x'"),
        ("--seed -1", "--seed is -1, but must be from 0"),
        ("--work-dir x", "--work-dir cannot be set here; the output folder is env.yaml's"),
        ("--gpus=2", "--gpus cannot be set here; the GPUs are gpu_id's"),
        ("--launcher slurm", "processes are started for every GPU"),
        ('"', "cannot be split into words"),
    ],
)
def test_other_options_are_refused_by_name(text, message):
    with pytest.raises(ParameterError) as caught:
        parse_training_arguments(text)
    assert "args_options" in str(caught.value)
    assert message in str(caught.value)
