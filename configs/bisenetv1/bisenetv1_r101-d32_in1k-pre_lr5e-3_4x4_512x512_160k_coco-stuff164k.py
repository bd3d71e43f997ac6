_base_ = './bisenetv1_r50-d32_in1k-pre_lr5e-3_4x4_512x512_160k_coco-stuff164k.py'
model = dict(
    backbone=dict(backbone_cfg=dict(depth=101, init_cfg=dict(checkpoint='open-mmlab://resnet101_v1c'))))
