"""Training: device, minibatches, the step, the loop, checkpoint and resume."""
