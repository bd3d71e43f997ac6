_base_ = './upernet_convnext_base_fp16_640x640_160k_ade20k.py'
checkpoint_file = 'https://download.openmmlab.com/mmclassification/v0/convnext/downstream/convnext-xlarge_3rdparty_in21k_20220301-08aa5ddc.pth'
model = dict(
    backbone=dict(arch='xlarge', init_cfg=dict(checkpoint=checkpoint_file)),
    decode_head=dict(in_channels=[256, 512, 1024, 2048]),
    auxiliary_head=dict(in_channels=1024))
optimizer = dict(lr=8e-5)
