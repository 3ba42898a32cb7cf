"""What the scripts here share: numbers that every float device sees alike, files, and the project's tolerances."""
import pathlib
import re

import numpy as np
import torch
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/fixtures"


def real(x):
    """An attribute as the engine holds it: a float."""
    return float(np.float32(x))


def rounded(t):
    """Doubles that are floats, so that devices of either width are given the same numbers."""
    return t.float().double()


def normal(generator, *shape):
    return rounded(torch.randn(shape, generator=generator, dtype=torch.double))


def save(name, tensors, metadata, writer):
    """Tensors and metadata to tests/fixtures/NAME, with the peer's version and the script that writes it."""
    tensors = {k: v.detach().contiguous().clone() for k, v in tensors.items()}
    metadata = dict(metadata, peer="torch " + torch.__version__.split("+")[0], writer="tests/peers/" + writer)
    path = FIXTURES / name
    save_file(tensors, path, metadata)
    path.chmod(0o644)
    print(f"{path.relative_to(ROOT)}: {len(tensors)} tensors, {path.stat().st_size:,} bytes")


def tolerance(name):
    """A number of tests/tolerance.h."""
    return float(re.search(rf"#define {name} (\S+)", (ROOT / "tests/tolerance.h").read_text()).group(1))


def far_apart(a, b):
    """Largest difference over the largest magnitude, as tests/ops.h."""
    a, b = a.double(), b.double()
    scale = max(a.abs().max().item(), b.abs().max().item()) if a.numel() else 0
    difference = (a - b).abs().max().item() if a.numel() else 0
    return difference / scale if scale else difference


__all__ = ["ROOT", "FIXTURES", "real", "rounded", "normal", "save", "tolerance", "far_apart", "load_file", "save_file"]
