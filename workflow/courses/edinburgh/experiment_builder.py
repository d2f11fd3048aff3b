"""Gradient flow: how much gradient reaches the weights of each layer (section 4.1)."""

import matplotlib.pyplot as plt


def plot_grad_flow(named_parameters):
    """Plot the mean absolute gradient of each weight tensor, from input to output, of
    `model.named_parameters()` after a backward pass; calls lay lines over each other."""
    all_grads, layers = [], []
    for name, parameter in named_parameters:
        if parameter.requires_grad and name.endswith("weight"):
            layers.append(name.removesuffix(".weight").replace("layer_dict.", ""))
            all_grads.append(parameter.grad.abs().mean().item())
    plt.plot(all_grads, alpha=0.3, color="b")
    plt.xticks(range(len(layers)), layers, rotation="vertical", fontsize=6)
    plt.xlim(0, len(all_grads) - 1)
    plt.xlabel("Layers")
    plt.ylabel("Average Gradient")
    plt.title("Gradient flow")
    plt.grid(True)
    plt.tight_layout()
    return plt


plot_grad_flows = plot_grad_flow  # the brief's name; the framework's is without the s
