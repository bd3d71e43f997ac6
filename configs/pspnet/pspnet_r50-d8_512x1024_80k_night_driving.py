_base_ = './pspnet_r50-d8_512x1024_40k_night_driving.py'
runner = dict(max_iters=80000)
checkpoint_config = dict(interval=8000)
evaluation = dict(interval=8000)
