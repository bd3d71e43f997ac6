_base_ = './lraspp_m-v3-d8_512x1024_320k_cityscapes.py'
model = dict(
    backbone=dict(arch='small', out_indices=(0, 1, 12)),
    decode_head=dict(in_channels=(16, 16, 576)),
    pretrained='open-mmlab://contrib/mobilenet_v3_small')
