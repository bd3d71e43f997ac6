"""Training, evaluation and checkpoints: a model, a loader and a schedule; nothing of YMIR."""
