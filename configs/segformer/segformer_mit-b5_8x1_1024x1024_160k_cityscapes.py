_base_ = './segformer_mit-b1_8x1_1024x1024_160k_cityscapes.py'
checkpoint = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/mit_b5_20220624-658746d9.pth'
model = dict(backbone=dict(num_layers=[3, 6, 40, 3], init_cfg=dict(checkpoint=checkpoint)))
