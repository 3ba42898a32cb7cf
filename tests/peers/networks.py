"""The paper's networks in PyTorch, with the parameter names of models/*.c: state_dict() has the engine's keys.

Read beside models/attribute_encoder.c, discriminator.c, generator.c, resnet.c and recogniser.c; the constants that the
engine holds as floats (slope 0.2, eps 1e-5, momentum 0.1) are floats here too.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

from fixture import normal, real, rounded

SLOPE, EPS, MOMENTUM = real(0.2), real(1e-5), real(0.1)


def lrelu(x):
    return F.leaky_relu(x, SLOPE)


class BatchNorm(nn.Module):
    """(B,C) or (B,C,H,W).  mode: "eval", "train", or "keep" (batch statistics, running ones stay); groups: parts of the
    batch that are normalised one after the other."""

    def __init__(self, channels, scaled=True):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if scaled else None
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x, mode, groups=1):
        mean, var = self.running_mean, self.running_var
        if mode == "keep":
            mean, var = mean.clone(), var.clone()
        parts = [F.batch_norm(p, mean, var, self.weight, self.bias, mode != "eval", MOMENTUM, EPS)
                 for p in x.chunk(groups if mode != "eval" else 1)]
        return torch.cat(parts) if len(parts) > 1 else parts[0]


class Trunk(nn.Module):
    """What A and D share."""

    def __init__(self, size, width, bias):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 4, 2, 1, bias=bias)
        c, k, side = width, 2, size // 4
        while side >= 4:
            f = width * (8 if side == 4 else 2 if k == 2 else 4)
            self.add_module(f"conv{k}", nn.Conv2d(c, f, 4, 2, 1, bias=bias))
            self.add_module(f"bn{k}", BatchNorm(f))
            c, k, side = f, k + 1, side // 2
        self.layers = range(2, k)

    def trunk(self, x, mode, groups):
        h = lrelu(self.conv1(x))
        for k in self.layers:
            h = lrelu(getattr(self, f"bn{k}")(getattr(self, f"conv{k}")(h), mode, groups))
        return h


class AttributeEncoder(Trunk):
    def __init__(self, size, width, z, bias=False):
        super().__init__(size, width, bias)
        self.conv_last = nn.Conv2d(8 * width, 16 * width, 4, bias=bias)
        self.mean = nn.Linear(16 * width, z)
        self.log_variance = nn.Linear(16 * width, z)

    def forward(self, x, mode, groups=1):
        h = torch.tanh(self.conv_last(self.trunk(x, mode, groups))).flatten(1)
        return {"mean": self.mean(h), "log_variance": self.log_variance(h)}


class Discriminator(Trunk):
    def __init__(self, size, width, bias=False):
        super().__init__(size, width, bias)
        self.conv_last = nn.Conv2d(8 * width, 4 * width, 4, bias=bias)
        self.fc = nn.Linear(4 * width, 1)

    def forward(self, x, mode, groups=1):
        h = self.conv_last(self.trunk(x, mode, groups)).flatten(1)
        return {"logit": self.fc(h), "feature": h}


class GeneratorBlock(nn.Module):
    def __init__(self, side, inputs, channels, bias):
        super().__init__()
        self.side = side
        self.conv1 = (nn.ConvTranspose2d(inputs, channels, 4, bias=bias) if side == 4
                      else nn.Conv2d(inputs, channels, 3, 1, 1, bias=bias))
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=bias)
        self.bn2 = BatchNorm(channels)
        self.to_rgb = nn.Conv2d(channels, 3, 1, bias=bias)

    def forward(self, h, mode):
        if self.side > 4:
            h = F.interpolate(h, scale_factor=2, mode="nearest")
        h = lrelu(self.conv1(h))
        h = lrelu(self.bn2(self.conv2(h), mode))
        return h, torch.tanh(self.to_rgb(h))


class Generator(nn.Module):
    def __init__(self, size, width, identity, z, bias=False):
        super().__init__()
        c, side = identity + z, 4
        self.sides = []
        while side <= size:
            f = width * (16 if side == 4 else min(8, size // side))
            self.add_module(f"block{side}", GeneratorBlock(side, c, f, bias))
            self.sides.append(side)
            c, side = f, 2 * side

    def forward(self, identity, attributes, mode):
        h, images = torch.cat([identity, attributes], 1)[:, :, None, None], {}
        for side in self.sides:
            h, images[f"image_{side}"] = getattr(self, f"block{side}")(h, mode)
        return images


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), BatchNorm(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), BatchNorm(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), BatchNorm(4 * width)
        if stride != 1 or inputs != 4 * width:
            self.downsample = nn.ModuleList([nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), BatchNorm(4 * width)])

    def forward(self, x, mode):
        h = F.relu(self.bn1(self.conv1(x), mode))
        h = F.relu(self.bn2(self.conv2(h), mode))
        h = self.bn3(self.conv3(h), mode)
        if hasattr(self, "downsample"):
            x = self.downsample[1](self.downsample[0](x), mode)
        return F.relu(h + x)


class Resnet(nn.Module):
    """torchvision's resnet50 without avgpool and fc, for blocks (3, 4, 6, 3) and width 64."""

    def __init__(self, blocks, width, small_stem=False):
        super().__init__()
        self.small_stem = small_stem
        self.conv1 = (nn.Conv2d(3, width, 3, 1, 1, bias=False) if small_stem
                      else nn.Conv2d(3, width, 7, 2, 3, bias=False))
        self.bn1 = BatchNorm(width)
        c, self.stages = width, []
        for stage, n in enumerate(blocks):
            if not n:
                break
            layers = nn.ModuleList()
            for b in range(n):
                layers.append(Bottleneck(c, width << stage, 2 if stage and not b else 1))
                c = 4 * (width << stage)
            self.add_module(f"layer{stage + 1}", layers)
            self.stages.append(layers)
        self.channels = c

    def forward(self, x, mode):
        h = F.relu(self.bn1(self.conv1(x), mode))
        if not self.small_stem:
            h = F.max_pool2d(h, 3, 2, 1)
        for layers in self.stages:
            for block in layers:
                h = block(h, mode)
        return h


class Classifier(Resnet):
    """torchvision's whole resnet50 for blocks (3, 4, 6, 3), width 64 and 1000 classes."""

    def __init__(self, blocks, width, classes):
        super().__init__(blocks, width)
        self.fc = nn.Linear(self.channels, classes)

    def forward(self, x, mode):
        return self.fc(super().forward(x, mode).mean((2, 3)))


class Head(nn.Module):
    """BN, FC, BN with a scale of 1; dropout is left out."""

    def __init__(self, channels, side, embedding):
        super().__init__()
        self.bn1 = BatchNorm(channels)
        self.fc = nn.Linear(channels * side * side, embedding)
        self.bn2 = BatchNorm(embedding, scaled=False)

    def forward(self, h, mode):
        return self.bn2(self.fc(self.bn1(h, mode).flatten(1)), mode)


class Recogniser(Resnet):
    def __init__(self, blocks, width, side, embedding, small_stem=False):
        super().__init__(blocks, width, small_stem)
        self.head = Head(self.channels, side, embedding)

    def forward(self, x, mode):
        return self.head(super().forward(x, mode), mode)


def draw(module, g):
    """Random parameters and statistics in double, of floats, under which values keep about their size."""
    module.double()
    with torch.no_grad():
        for name, t in module.state_dict().items():
            last = name.split(".")[-1]
            if t.dim() > 1:
                fan = t.shape[1] * math.prod(t.shape[2:])
                if "block4.conv1" in name:   # transposed: each output pixel sees one tap of every channel
                    fan = t.shape[0]
                new = normal(g, *t.shape) * math.sqrt(2 / fan)
            elif last == "running_var":
                new = 0.5 + torch.rand(t.shape, generator=g, dtype=torch.double)
            elif last == "weight":
                new = 1 + 0.2 * normal(g, *t.shape)
            else:
                new = 0.2 * normal(g, *t.shape)
            t.copy_(rounded(new))
    return module


def parameters(module, convolution_biases):
    """Number of parameters with or without the biases of convolutions, whichever the module has."""
    n = sum(p.numel() for p in module.parameters())
    for m in module.modules():
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
            n += m.out_channels * (convolution_biases - (m.bias is not None))
    return n
