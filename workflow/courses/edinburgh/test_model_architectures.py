"""Unit tests of the blocks and the networks: python -m unittest"""

import unittest

import model_architectures as architectures
import torch

IMAGES = (2, 32, 8, 8)
PROCESSING = [
    architectures.ConvolutionalProcessingBlock,
    architectures.BNConvolutionalProcessingBlock,
    architectures.RCConvolutionalProcessingBlock,
    architectures.BNRCConvolutionalProcessingBlock,
]
REDUCTION = [
    architectures.ConvolutionalDimensionalityReductionBlock,
    architectures.BNConvolutionalDimensionalityReductionBlock,
]
# Convolution: 9 weights a pair of channels; normalisation: 2 a channel; biases: 1.
COUNTS = [18_432, 18_560, 18_432, 18_560, 18_496, 18_624]
PARAMETERS = dict(zip(PROCESSING + REDUCTION, COUNTS, strict=True))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


class Blocks(unittest.TestCase):
    def test_shapes(self):
        for kind in PARAMETERS:
            shape = kind(IMAGES, 32)(torch.randn(IMAGES)).shape
            self.assertEqual(shape, (2, 32, 4, 4) if kind in REDUCTION else IMAGES)

    def test_parameters(self):
        for kind, parameters in PARAMETERS.items():
            self.assertEqual(count(kind(IMAGES, 32)), parameters)

    def test_gradient_reaches_the_input_and_every_parameter(self):
        for kind in PARAMETERS:
            block, images = kind(IMAGES, 32), torch.randn(IMAGES, requires_grad=True)
            block(images).square().sum().backward()
            for tensor in (images, *block.parameters()):
                self.assertGreater(tensor.grad.abs().sum().item(), 0)

    def test_a_residual_block_of_zeros_is_the_activation_alone(self):
        images = torch.randn(IMAGES)
        for kind in PROCESSING[2:]:
            block = kind(IMAGES, 32)
            torch.nn.init.zeros_(block.layer_dict["conv_1"].weight)
            wanted = torch.nn.functional.leaky_relu(images)
            torch.testing.assert_close(block(images), wanted)


class Networks(unittest.TestCase):
    def test_logits_and_parameters(self):
        wanted = {"vgg08": 59_716, "vgg38": 336_196, "vgg38_rc": 336_196}
        wanted |= {"vgg38_bn": 338_500, "vgg38_bn_rc": 338_500}
        for name, parameters in wanted.items():
            network = getattr(architectures, name)(100)
            self.assertEqual(network(torch.randn(2, 3, 16, 16)).shape, (2, 100))
            self.assertEqual(count(network), parameters)


if __name__ == "__main__":
    unittest.main()
