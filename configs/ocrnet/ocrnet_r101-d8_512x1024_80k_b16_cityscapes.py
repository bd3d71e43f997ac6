_base_ = './ocrnet_r101-d8_512x1024_40k_b16_cityscapes.py'
runner = dict(max_iters=80000)
checkpoint_config = dict(interval=8000)
evaluation = dict(interval=8000)
