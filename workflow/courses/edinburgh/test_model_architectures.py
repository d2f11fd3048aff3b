"""Unit tests of the blocks and the networks: python -m unittest"""

import unittest

import model_architectures as architectures
import torch

IMAGES = (2, 32, 8, 8)
# Convolution: 9 weights a pair of channels; normalisation: 2 a channel; biases: 1.
BLOCKS = {
    "ConvolutionalProcessingBlock": 18_432,
    "BNConvolutionalProcessingBlock": 18_560,
    "RCConvolutionalProcessingBlock": 18_432,
    "BNRCConvolutionalProcessingBlock": 18_560,
    "ConvolutionalDimensionalityReductionBlock": 18_496,
    "BNConvolutionalDimensionalityReductionBlock": 18_624,
}
NETWORKS = {"vgg08": 59_716, "vgg38": 336_196, "vgg38_rc": 336_196}
NETWORKS |= {"vgg38_bn": 338_500, "vgg38_bn_rc": 338_500}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def built(name):
    options = {"kernel_size": 3, "padding": 1, "dilation": 1, "bias": False}
    if "Reduction" in name:
        options |= {"bias": True, "reduction_factor": 2}
    return getattr(architectures, name)(IMAGES, 32, **options)


class Tests(unittest.TestCase):
    def test_a_block_passes_images_on_and_the_gradient_back(self):
        for name, parameters in BLOCKS.items():
            block = built(name)
            images = torch.randn(IMAGES, requires_grad=True)
            out = block(images)
            self.assertEqual(out.shape, (2, 32, 4, 4) if "Reduction" in name else IMAGES)
            self.assertEqual(count(block), parameters)
            out.square().sum().backward()
            for tensor in (images, *block.parameters()):
                self.assertGreater(tensor.grad.abs().sum().item(), 0)

    def test_a_residual_block_of_zeros_is_the_activation_alone(self):
        images = torch.randn(IMAGES)
        for name in [name for name in BLOCKS if "RC" in name]:
            block = built(name)
            torch.nn.init.zeros_(block.layer_dict["conv_1"].weight)
            wanted = torch.nn.functional.leaky_relu(images)
            torch.testing.assert_close(block(images), wanted)

    def test_a_network_gives_logits(self):
        for name, parameters in NETWORKS.items():
            network = getattr(architectures, name)(100)
            self.assertEqual(network(torch.randn(2, 3, 16, 16)).shape, (2, 100))
            self.assertEqual(count(network), parameters)

    def test_a_network_draws_its_weights_anew(self):
        network = architectures.vgg38_bn(100)
        before = network.layer_dict["block_2_4"].layer_dict["conv_1"].weight.clone()
        network.reset_parameters()
        after = network.layer_dict["block_2_4"].layer_dict["conv_1"].weight
        self.assertTrue((before != after).all())


if __name__ == "__main__":
    unittest.main()
