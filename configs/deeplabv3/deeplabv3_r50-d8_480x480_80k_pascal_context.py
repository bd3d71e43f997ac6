_base_ = './deeplabv3_r50-d8_480x480_40k_pascal_context.py'
runner = dict(max_iters=80000)
checkpoint_config = dict(interval=8000)
evaluation = dict(interval=8000)
