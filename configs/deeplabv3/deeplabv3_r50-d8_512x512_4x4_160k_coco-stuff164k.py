_base_ = './deeplabv3_r50-d8_512x512_4x4_80k_coco-stuff164k.py'
runner = dict(max_iters=160000)
checkpoint_config = dict(interval=16000)
evaluation = dict(interval=16000)
