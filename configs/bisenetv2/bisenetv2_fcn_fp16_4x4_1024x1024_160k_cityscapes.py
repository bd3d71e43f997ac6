_base_ = './bisenetv2_fcn_4x4_1024x1024_160k_cityscapes.py'
optimizer_config = dict(type='Fp16OptimizerHook', loss_scale=512.0)
fp16 = dict()
