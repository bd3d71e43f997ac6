_base_ = './fcn_r50b-d8_512x1024_80k_cityscapes.py'
model = dict(pretrained='torchvision://resnet101', backbone=dict(depth=101))
