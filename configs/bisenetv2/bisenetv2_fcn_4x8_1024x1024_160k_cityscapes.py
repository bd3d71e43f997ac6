_base_ = './bisenetv2_fcn_4x4_1024x1024_160k_cityscapes.py'
data = dict(samples_per_gpu=8)
