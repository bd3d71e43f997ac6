"""Fuzzing of the readers of strangers' files, by atheris; see the commands in the modules."""
