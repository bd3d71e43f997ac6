_base_ = './pspnet_r50b-d32_512x1024_80k_cityscapes.py'
model = dict(backbone=dict(strides=(1, 2, 1, 1)))
