"""PyTorch's forward passes and gradients of small networks.

    python tests/peers/fixtures.py                             writes tests/fixtures/networks.safetensors (read by
                                                               500_networks)
    python tests/peers/fixtures.py --model build/bin/model     runs the forward passes live through the program model
                                   [--device cpu] [--seed 2]   another seed gives other numbers

Needs PyTorch 2, numpy and safetensors.  Network N of metadata "networks" (one a line: N, kind, key=value ...) has
    N.weights.NAME     parameters and statistics before, floats under the engine's names
    N.in.x             the input, of the generator identity and attributes side by side; d_RESULT are cotangents
    N.eval.RESULT      results with running statistics
    N.train.RESULT     results with the statistics of the batch
    N.grad.NAME        of those, gradients of parameters and x; of tensors above 1,024 elements instead
    N.proj.NAME        sum_i g_i cos(0.61803398875 (k + 1) i) for k = 0..3, and the length of g
    N.after.NAME       running statistics afterwards
Results are double.  Metadata "parameters" counts the paper's networks (name, without and with biases of convolutions),
"resnet50" has the names and shapes of torchvision's ResNet-50.
"""
import argparse
import subprocess
import tempfile

import torch
import torch.nn.functional as F

from fixture import far_apart, load_file, normal, rounded, save, save_file, tolerance
from networks import AttributeEncoder, Classifier, Discriminator, Generator, Recogniser, draw, parameters
from ops import arcface

FULL = 1024


def project(g):
    g = g.flatten()
    i = torch.arange(g.numel(), dtype=torch.double)
    return torch.stack([(g * torch.cos(0.61803398875 * (k + 1) * i)).sum() for k in range(4)] + [g.norm()])


def live(program, device, line, module, inputs, run):
    """Compares results with running statistics; True if they are near enough."""
    name, kind, *words = line.split()
    options = []
    for key, value in (w.split("=") for w in words):
        if key in ("bias", "small_stem"):
            options += ["--" + key.replace("_", "-")] if value == "1" else []
        elif key not in ("batch", "groups") and value != "0":
            options += ["--" + key, value]
    with tempfile.TemporaryDirectory() as folder:
        w, x, y = (f"{folder}/{file}.safetensors" for file in "wxy")
        save_file({k: v.float().contiguous() for k, v in module.state_dict().items()}, w)
        save_file({"x": inputs["x"].detach()}, x)
        subprocess.run([program, "forward", kind, *options, "--weights", w, "--in", x, "--out", y, "--device", device,
                        "--threads", "1"], check=True)
        got = load_file(y)
    worst = max(far_apart(got[k], v) for k, v in run(inputs, "eval").items())
    good = worst <= tolerance("TOLERANCE_NETWORK")
    print(f"{name} {kind}: the largest relative difference {worst:.2g}{'' if good else ': too much'}")
    return good


def record(out, name, module, inputs, run, labels=None):
    """run(inputs, mode) gives results by name."""
    put = lambda kind, key, value: out.__setitem__(f"{name}.{kind}.{key}", value.detach().clone())
    buffers = dict(module.named_buffers())
    for key, value in module.state_dict().items():
        put("weights", key, value.float())
    if labels is not None:
        put("in", "labels", labels)
    for key, value in run(inputs, "eval").items():
        put("eval", key, value)
    for value in inputs.values():
        value.requires_grad_()
    results = run(inputs, "train")
    g = torch.Generator().manual_seed(len(out))
    cotangents = {key: normal(g, *value.shape) for key, value in results.items()}
    wrt = dict(module.named_parameters()) | inputs
    grads = torch.autograd.grad(list(results.values()), list(wrt.values()), list(cotangents.values()))
    for key, value in inputs.items():
        put("in", key, value.float())
    for key, value in results.items():
        put("train", key, value)
        put("in", "d_" + key, cotangents[key].float())
    for key, g in zip(wrt, grads):
        put("grad" if g.numel() <= FULL else "proj", key, g if g.numel() <= FULL else project(g))
    for key, value in buffers.items():
        put("after", key, value)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="the program model: compare live instead of recording")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=1)
    o = parser.parse_args()
    torch.set_num_threads(1)
    g = torch.Generator().manual_seed(o.seed)
    n = lambda *shape: normal(g, *shape)
    out, lines, good = {}, [], []

    def take(line, module, x, run, labels=None):
        lines.append(line)
        if o.model:
            good.append(live(o.model, o.device, line, module, {"x": x}, run))
        else:
            record(out, line.split()[0], module, {"x": x}, run, labels)

    for name, size, width, z, bias, batch in [("A16", 16, 4, 8, 0, 3), ("A32", 32, 5, 6, 1, 4)]:
        a = draw(AttributeEncoder(size, width, z, bool(bias)), g)
        take(f"{name} attribute_encoder size={size} width={width} z={z} bias={bias} batch={batch} groups=1",
             a, n(batch, 3, size, size), lambda i, mode: a(i["x"], mode))

    for name, size, width, bias, batch, groups in [("D16", 16, 4, 0, 6, 2), ("D32", 32, 3, 1, 4, 1)]:
        d = draw(Discriminator(size, width, bool(bias)), g)
        take(f"{name} discriminator size={size} width={width} z=0 bias={bias} batch={batch} groups={groups}",
             d, n(batch, 3, size, size), lambda i, mode: d(i["x"], mode, groups))

    for name, size, width, identity, z, bias, batch in [("G16", 16, 4, 8, 4, 0, 3), ("G32", 32, 3, 7, 5, 1, 4)]:
        m = draw(Generator(size, width, identity, z, bool(bias)), g)
        x = torch.cat([rounded(F.normalize(n(batch, identity))), n(batch, z)], 1)
        take(f"{name} generator size={size} width={width} z={z} bias={bias} batch={batch} groups=1 identity={identity}",
             m, x, lambda i, mode: m(i["x"][:, :identity], i["x"][:, identity:], mode))

    for name, size, side, blocks, width, embedding, small, batch in [
            ("R16", 16, 8, (1, 2, 0, 0), 4, 8, 1, 4), ("R32", 32, 1, (2, 1, 1, 1), 4, 9, 0, 8)]:
        r = draw(Recogniser(blocks, width, side, embedding, bool(small)), g)
        r.classes = torch.nn.Linear(embedding, 5, bias=False)
        draw(r.classes, g)
        labels = torch.randint(5, (batch,), generator=g, dtype=torch.int32)

        def run(i, mode):
            z = r(i["x"], mode)
            operands = {"x": z, "w": r.classes.weight, "labels": labels}
            return {"embedding": z} | ({"loss": arcface(operands, 16, 0.5, False).mean()} if mode == "train" else {})

        take(f"{name} recogniser size={size} width={width} z=0 bias=0 batch={batch} groups=1 identity={embedding} "
             f"small_stem={small} blocks={','.join(map(str, blocks))}", r, n(batch, 3, size, size), run, labels)

    if o.model:
        raise SystemExit(not all(good))
    with torch.device("meta"):
        paper = {"attribute_encoder": AttributeEncoder(128, 128, 128), "discriminator": Discriminator(128, 128),
                 "generator": Generator(128, 64, 512, 128), "resnet50": Classifier((3, 4, 6, 3), 64, 1000),
                 "recogniser": Recogniser((3, 4, 6, 3), 64, 4, 512)}
    counts = "\n".join(f"{k} {parameters(m, False)} {parameters(m, True)}" for k, m in paper.items())
    shapes = "\n".join(f"{k} {','.join(map(str, v.shape))}" for k, v in paper["resnet50"].state_dict().items())
    print(counts)
    save("networks.safetensors", out, {"networks": "\n".join(lines), "parameters": counts, "resnet50": shapes},
         "fixtures.py")


if __name__ == "__main__":
    main()
