_base_ = './ocrnet_r101-d8_512x1024_40k_b16_cityscapes.py'
optimizer = dict(lr=0.01)
lr_config = dict(min_lr=1e-4)
