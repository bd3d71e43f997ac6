_base_ = [
    '../_base_/models/stdc.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_80k.py',
]
data = dict(samples_per_gpu=12, workers_per_gpu=4)
lr_config = dict(warmup='linear', warmup_iters=1000)
