"""PyTorch's forward passes and gradients of the paper's networks at their full size, as projections.

    python tests/peers/full_size.py                          writes tests/fixtures/full_size.safetensors (read by
                                                             501_full_size)
    python tests/peers/full_size.py --model build/bin/model  instead writes a torchvision-style file of ResNet-50 and
                                    [--device cpu]           runs it through the program model, at 224 and at 128

Needs PyTorch 2, numpy and safetensors.  Parameters, inputs and cotangents are not stored: both sides compute them by
`rule`.  Network N of metadata "networks" (one a line: N, kind, key=value ...) has, each of five numbers (`project`),
    N.eval.RESULT      results with running statistics
    N.train.RESULT     results with the statistics of the batch
    N.grad.NAME        of those, gradients of every parameter and of x
    N.after.NAME       running statistics afterwards
computed in double from the input of the stream x<input>.  What PyTorch itself loses in float is printed beside.
"""
import argparse
import math
import subprocess
import tempfile

import numpy as np
import torch
import torch.nn.functional as F

from fixture import far_apart, load_file, save, save_file, tolerance
from networks import AttributeEncoder, Classifier, Discriminator, Generator, Recogniser

RESNET50 = (3, 4, 6, 3)


def fnv1a(name):
    h = 0xcbf29ce484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001b3 % 2 ** 64
    return h


def bits(key, n):
    """64 bits of each i < n: Steele, Lea, Flood's SplitMix64 (2014) from `key`."""
    x = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(name, shape):
    """Floats in (-1, 1) without rounding: the 24 highest bits of each element, in the middle of their interval."""
    high = (bits(fnv1a(name), math.prod(shape)) >> np.uint64(40)).astype(np.int64)
    return ((2 * high + 1 - 2 ** 24) / 2 ** 24).astype(np.float32).reshape(shape)


def rule(name, shape):
    """First value of a parameter or statistic, under which values keep about their size.  Shifts of batch normalisation
    are near 2 and -2, so that few inputs of rectifiers lie near 0 (`safest`)."""
    x, last, one = uniform(name, shape), name.split(".")[-1], np.float32(1)
    if len(shape) > 1:
        fan = shape[0] if "block4.conv1" in name else math.prod(shape[1:])
        return x * np.float32(math.sqrt(6 / fan))
    if last == "running_var":
        return one + np.float32(0.5) * x
    base = one if last == "weight" else 2 * np.copysign(one, x) if last == "bias" else np.float32(0)
    return base + np.float32(0.25) * x


def project(t):
    """Four sums under random signs, and the length."""
    x = t.detach().double().flatten().numpy()
    b = bits(0, x.size)
    signs = [((b >> np.uint64(63 - k)) & np.uint64(1)).astype(np.float64) * 2 - 1 for k in range(4)]
    return torch.tensor([float(x @ s) for s in signs] + [float(np.sqrt(x @ x))], dtype=torch.double)


def fill(module):
    for name, t in module.state_dict().items():
        t.copy_(torch.from_numpy(rule(name, tuple(t.shape))))


def safest(module, shape, run, streams=12):
    """Of inputs x0, x1, ... the one under which inputs of rectifiers stay farthest from 0 (as a share of their root
    mean square), and whether that is out of rounding's reach: on the other side, gradients change by up to a
    hundredth."""
    nearest, plain = [], (F.relu, F.leaky_relu)

    def watched(f):
        def call(h, *slope):
            nearest[-1] = min(nearest[-1], (h.abs().min() / h.square().mean().sqrt()).item())
            return f(h, *slope)
        return call

    F.relu, F.leaky_relu = map(watched, plain)
    module.float()
    with torch.no_grad():
        for i in range(streams):
            fill(module)
            nearest.append(math.inf)
            run(torch.from_numpy(uniform(f"x{i}", shape)), "train")
    F.relu, F.leaky_relu = plain
    best = max(range(streams), key=lambda i: nearest[i])
    print(f"nearest to a kink: {nearest[best]:.2g} with input x{best} (of {min(nearest):.2g} to {max(nearest):.2g})")
    return best, nearest[best] >= 8e-7


def measure(name, module, x, run, dtype):
    """All projections by key, in a precision."""
    out = {}
    module.to(dtype)
    fill(module)
    x = torch.from_numpy(x).to(dtype).requires_grad_()
    with torch.no_grad():
        for key, value in run(x, "eval").items():
            out[f"{name}.eval.{key}"] = project(value)
    results = run(x, "train")
    cotangents = [torch.from_numpy(uniform("d_" + key, tuple(v.shape))).to(dtype) for key, v in results.items()]
    wrt = dict(module.named_parameters()) | {"x": x}
    grads = torch.autograd.grad(list(results.values()), list(wrt.values()), cotangents)
    out |= {f"{name}.train.{key}": project(value) for key, value in results.items()}
    out |= {f"{name}.grad.{key}": project(g) for key, g in zip(wrt, grads)}
    out |= {f"{name}.after.{key}": project(value) for key, value in module.named_buffers()}
    return out


def record():
    out, lines = {}, []

    def take(line, module, shape, run):
        name = line.split()[0]
        best, smooth = safest(module, shape, run)
        line += f" input={best} smooth={smooth:d}"
        x = uniform(f"x{best}", shape)
        wide = measure(name, module, x, run, torch.double)
        worst = {}
        for key, value in measure(name, module, x, run, torch.float).items():
            kind = key.split(".")[1]
            off = ((value - wide[key]).abs().max() / wide[key][4]).item()
            worst[kind] = max(worst.get(kind, (0, "")), (off, key))
        print(f"{line}\n  PyTorch in float: " + ", ".join(f"{k} {v:.2g} ({n})" for k, (v, n) in worst.items()))
        lines.append(line)
        out.update(wide)

    a = AttributeEncoder(128, 128, 128)
    take("A attribute_encoder size=128 width=128 z=128 batch=2", a, (2, 3, 128, 128), a)
    d = Discriminator(128, 128)
    take("D discriminator size=128 width=128 batch=4 groups=2", d, (4, 3, 128, 128), lambda x, mode: d(x, mode, 2))
    g = Generator(128, 64, 512, 128)
    take("G generator size=128 width=64 z=128 identity=512 batch=2", g, (2, 640),
         lambda x, mode: g(x[:, :512], x[:, 512:], mode))
    for size in 224, 128:
        r = Classifier(RESNET50, 64, 1000)
        take(f"R{size} resnet50 size={size} width=64 blocks=3,4,6,3 classes=1000 batch=2", r, (2, 3, size, size),
             lambda x, mode: {"logits": r(x, mode)})
    h = Recogniser(RESNET50, 64, 4, 512)
    take("H recogniser size=128 width=64 blocks=3,4,6,3 identity=512 batch=4", h, (4, 3, 128, 128),
         lambda x, mode: {"embedding": h(x, mode)})
    save("full_size.safetensors", out, {"networks": "\n".join(lines)}, "full_size.py")


def live(program, device):
    """True if a file under torchvision's names gives PyTorch's logits."""
    r, good = Classifier(RESNET50, 64, 1000), []
    fill(r)
    names = {k: v.contiguous() for k, v in r.state_dict().items()}
    names |= {k.replace("running_mean", "num_batches_tracked"): torch.tensor(7) for k in names if "running_mean" in k}
    r.double()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        w, x, y = (f"{folder}/{file}.safetensors" for file in "wxy")
        save_file(names, w)
        for size in 224, 128:
            pixels = torch.from_numpy(uniform("x", (2, 3, size, size)))
            save_file({"x": pixels}, x)
            subprocess.run([program, "forward", "resnet50", "--weights", w, "--in", x, "--out", y, "--device", device],
                           check=True)
            off = far_apart(load_file(y)["logits"], r(pixels.double(), "eval"))
            good.append(off <= tolerance("TOLERANCE_FULL_SIZE"))
            print(f"resnet50 at {size}: logits {off:.2g} off PyTorch's{'' if good[-1] else ': too much'}")
    return all(good)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="the program model: run a file of torchvision's names through it")
    parser.add_argument("--device", default="cpu")
    o = parser.parse_args()
    torch.set_num_threads(1)
    if o.model:
        raise SystemExit(not live(o.model, o.device))
    record()


if __name__ == "__main__":
    main()
