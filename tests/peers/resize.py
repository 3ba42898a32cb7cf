"""Records PyTorch's resizing and warping: python tests/peers/resize.py  ->  tests/fixtures/resize.safetensors

Tensors OP.N.x, .y, .dy, .dx (y = op(x), dx = gradient of sum(y dy)), all in double; the sizes are those of y.
warp.N also has .m (our map, in pixels from centre to centre) and no gradient; blur.N has .sigma and five taps.
"""
import json
import struct

import torch
import torch.nn.functional as F

SHAPES = [  # B, C, H, W, OH, OW
    (1, 2, 4, 5, 8, 10), (1, 2, 8, 8, 2, 4), (1, 2, 7, 5, 3, 9), (1, 2, 5, 6, 11, 4), (1, 1, 5, 6, 1, 1),
    (2, 1, 1, 3, 4, 7),
]
MODES = {
    "resize_nearest": {"mode": "nearest"},
    "resize_area": {"mode": "area"},
    "resize_bilinear": {"mode": "bilinear", "align_corners": False},
    "resize_corners": {"mode": "bilinear", "align_corners": True},
}


def write(path, tensors):
    header, data = {}, b""
    for name in sorted(tensors):
        t = tensors[name].detach().contiguous()
        raw = t.numpy().astype("<f8").tobytes()
        header[name] = {"dtype": "F64", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    header["__metadata__"] = {"peer": "torch " + torch.__version__.split("+")[0], "writer": "tests/peers/resize.py"}
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def warped(x, m, height, width, mode):
    """grid_sample wants points in [-1, 1] from corner centre to corner centre (align_corners)."""
    oy, ox = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    o = torch.stack([ox, oy, torch.ones_like(ox)], -1).to(x.dtype)
    s = torch.einsum("hwk,bck->bhwc", o, m.view(-1, 2, 3))
    grid = 2 * s / torch.tensor([x.shape[3] - 1, x.shape[2] - 1], dtype=x.dtype) - 1
    return F.grid_sample(x, grid, mode=mode, padding_mode="zeros", align_corners=True)


def blurred(x, sigma):
    d = torch.arange(-2, 3, dtype=x.dtype)
    w = torch.exp(-0.5 * (d / sigma) ** 2)
    w = w / w.sum()
    kernel = (w[:, None] * w[None, :]).expand(x.shape[1], 1, 5, 5)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, groups=x.shape[1])


def main():
    torch.manual_seed(1)
    out = {}
    for op, options in MODES.items():
        for n, (b, c, h, w, oh, ow) in enumerate(SHAPES):
            x = torch.randn(b, c, h, w, dtype=torch.double, requires_grad=True)
            y = F.interpolate(x, size=(oh, ow), **options)
            dy = torch.randn_like(y)
            (dx,) = torch.autograd.grad(y, x, dy)
            out.update({f"{op}.{n}.x": x, f"{op}.{n}.y": y, f"{op}.{n}.dy": dy, f"{op}.{n}.dx": dx})
    for n, mode in enumerate(["bilinear", "nearest"]):  # with m no point falls half-way: ties round differently
        x = torch.randn(2, 2, 9, 7, dtype=torch.double)
        m = torch.tensor([[0.9, -0.31, 1.127, 0.27, 1.07, -1.413], [-1.3, 0.2, 7.37, 0.11, 0.77, 0.93]],
                         dtype=torch.double)
        out.update({f"warp.{n}.x": x, f"warp.{n}.m": m, f"warp.{n}.y": warped(x, m, 8, 10, mode)})
    for n, sigma in enumerate([1.0, 1.625]):
        x = torch.randn(1, 2, 6, 9, dtype=torch.double)
        out.update({f"blur.{n}.x": x, f"blur.{n}.sigma": torch.tensor([sigma], dtype=torch.double),
                    f"blur.{n}.y": blurred(x, sigma)})
    write("tests/fixtures/resize.safetensors", out)


if __name__ == "__main__":
    main()
