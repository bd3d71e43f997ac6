_base_ = './fcn_hr48_512x1024_40k_cityscapes.py'
runner = dict(max_iters=160000)
checkpoint_config = dict(interval=16000)
evaluation = dict(interval=16000)
