_base_ = './deeplabv3_r50-d8_512x512_4x4_80k_coco-stuff164k.py'
runner = dict(max_iters=320000)
checkpoint_config = dict(interval=32000)
evaluation = dict(_delete_=True, interval=32000, metric='mIoU')
