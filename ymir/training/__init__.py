"""What decides a training: its hyper-parameters, its config, the weights it starts from and those it goes on from."""
