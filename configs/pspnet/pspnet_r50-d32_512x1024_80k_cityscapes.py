_base_ = './pspnet_r50-d8_512x1024_80k_cityscapes.py'
model = dict(backbone=dict(strides=(1, 2, 2, 2)))
