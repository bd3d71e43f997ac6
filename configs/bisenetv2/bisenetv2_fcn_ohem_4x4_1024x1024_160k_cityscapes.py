# As published: the sampler stands beside the model, so no head uses it.
_base_ = './bisenetv2_fcn_4x4_1024x1024_160k_cityscapes.py'
sampler = dict(type='OHEMPixelSampler', thresh=0.7, min_kept=10000)
