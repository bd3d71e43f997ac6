"""The YMIR executor: reads a task, runs training, mining or infer with mmseg, and writes what the platform reads
back."""
