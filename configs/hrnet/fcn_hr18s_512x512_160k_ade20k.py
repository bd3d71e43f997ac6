_base_ = './fcn_hr18s_512x512_80k_ade20k.py'
runner = dict(max_iters=160000)
checkpoint_config = dict(interval=16000)
evaluation = dict(interval=16000)
