_base_ = './fcn_hr18_480x480_40k_pascal_context_59.py'
runner = dict(max_iters=80000)
checkpoint_config = dict(interval=8000)
evaluation = dict(interval=8000)
