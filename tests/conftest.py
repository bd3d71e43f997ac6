"""What all tests share."""

import torch

# The tests run in as many processes as there are cores; more threads in each would only be in one another's way.
torch.set_num_threads(1)
