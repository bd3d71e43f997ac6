_base_ = './deeplabv3_r50-d8_512x512_4x4_20k_coco-stuff10k.py'
runner = dict(max_iters=40000)
checkpoint_config = dict(interval=4000)
evaluation = dict(interval=4000)
