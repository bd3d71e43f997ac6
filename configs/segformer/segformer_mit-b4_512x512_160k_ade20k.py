_base_ = './segformer_mit-b1_512x512_160k_ade20k.py'
checkpoint = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/mit_b4_20220624-d588d980.pth'
model = dict(pretrained=checkpoint, backbone=dict(num_layers=[3, 8, 27, 3]))
