_base_ = './deeplabv3plus_r50-d8_512x512_80k_ade20k.py'
runner = dict(max_iters=160000)
checkpoint_config = dict(interval=16000)
evaluation = dict(interval=16000)
