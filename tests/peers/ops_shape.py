"""PyTorch's values and gradients of ops that move, reduce, pool, convolve, normalise and augment, in the forms that
recognisers of others need: uneven windows and borders, groups of few channels, axes in any order.

    python tests/peers/ops_shape.py                    writes tests/fixtures/ops_shape.safetensors (read by
                                                       210_peer_ops); other options as ops.py's

Augmentation has no counterpart in PyTorch itself: the formulae of torchvision's transforms are written out here.
"""
import math

import torch
import torch.nn.functional as F

from fixture import normal, real, rounded
from ops import batch_norm, case, main


def collect(g):
    n = lambda *shape: normal(g, *shape)
    uniform = lambda *shape: rounded(torch.rand(shape, generator=g, dtype=torch.double))
    below = lambda limit, *shape: torch.randint(limit, shape, generator=g, dtype=torch.int32)
    one = lambda f: lambda o: {"y": f(o)}
    commas = lambda v: ",".join(map(str, v))

    # moving
    for shape, pad in [((2, 3, 4, 5), (1, 2, 3, 0)), ((1, 17, 5, 3), (0, 1, 0, 1)), ((1, 18, 4, 4), (0, 0, 1, 2, 3, 1)),
                       ((1, 17, 5, 6), (-1, 2, 1, -2)), ((7,), (2, 3)), ((2, 20, 4, 4), (-1, -1, -1, -1))]:
        for value in [0, 0.7]:
            case("pad", dict(pad=commas(pad), value=value), {"x": n(*shape)},
                 one(lambda o, p=pad, v=value: F.pad(o["x"], p, value=real(v))))
    for shape, pad in [((2, 3, 4, 5), (1, 2, 3, 0)), ((1, 17, 5, 3), (2, 2, 4, 4)), ((1, 20, 6, 7), (1, 1, 1, 1)),
                       ((2, 3, 5), (4, 3)), ((2, 4, 3, 4, 5), (1, 2, 3, 0, 2, 1))]:
        case("pad", dict(pad=commas(pad), mode="reflect"), {"x": n(*shape)},
             one(lambda o, p=pad: F.pad(o["x"], p, mode="reflect")))
    for shape, index, dim in [((5, 7), (5, 3), 1), ((5, 7), (9, 7), 0), ((4, 3, 5, 6), (2, 9, 5, 4), 1),
                              ((6,), (17,), 0), ((2, 17, 3, 3), (2, 17, 3, 2), -1), ((3, 40, 2), (3, 50, 2), -2)]:
        case("gather", dict(dim=dim), {"x": n(*shape), "index": below(shape[dim], *index)},
             one(lambda o, d=dim: torch.gather(o["x"], d, o["index"].long())))
    for shape, count, dim in [((5, 7), 3, 1), ((5, 300), 9, 0), ((2, 17, 3, 3), 20, 1), ((6,), 17, 0),
                              ((2, 3, 4, 5), 3, -1)]:
        case("index_select", dict(dim=dim), {"x": n(*shape), "index": below(shape[dim], count)},
             one(lambda o, d=dim: torch.index_select(o["x"], d, o["index"].long())))
    case("slice", dict(axis=1, start=1, stop=17, step=3), {"x": n(2, 17, 3, 3)}, one(lambda o: o["x"][:, 1:17:3]))
    case("slice", dict(axis=-1, start=1, stop=7, step=2), {"x": n(2, 20, 2, 7)}, one(lambda o: o["x"][..., 1:7:2]))
    case("squeeze", {}, {"x": n(2, 17, 1, 1)}, one(lambda o: o["x"].squeeze()))
    case("squeeze", dict(dim="0,1,2"), {"x": n(1, 3, 1, 5)}, one(lambda o: o["x"].squeeze((0, 1, 2))))
    case("unsqueeze", dict(dim="-1,0"), {"x": n(3, 5)}, one(lambda o: o["x"].unsqueeze(0).unsqueeze(-1)))
    case("flatten", {}, {"x": n(2, 3, 4, 5)}, one(lambda o: o["x"].flatten(1)))
    case("flatten", dict(start_dim=0, end_dim=-2), {"x": n(2, 3, 4, 5)}, one(lambda o: o["x"].flatten(0, -2)))

    # reducing; few different numbers make for ties
    for shape, axes, keep in [((2, 17, 3, 5), (0, 2, 3), False), ((2, 17, 3, 5), (2, 3), True), ((9, 13), (1,), False),
                              ((9, 13), (0,), True), ((2, 3, 4), (-1,), False), ((3, 2, 3, 2, 5), (0, 2, 4), False),
                              ((3, 20, 2, 5), (1, 3), False), ((2, 5, 70), (0, 1), False)]:
        a = dict(axes=commas(axes), keepdims=keep)
        for op, f in {"reduce_max": torch.amax, "reduce_min": torch.amin}.items():
            case(op, a, {"x": n(*shape)}, one(lambda o, f=f, d=axes, k=keep: f(o["x"], d, keepdim=k)))
            case(op, a, {"x": below(4, *shape).double()}, one(lambda o, f=f, d=axes, k=keep: f(o["x"], d, keepdim=k)))
    case("reduce_max", {}, {"x": n(2, 17, 3, 5)}, one(lambda o: o["x"].amax()))
    for shape, axes in [((2, 17, 4, 8), (0, 2, 3)), ((2, 17, 4, 4), (2, 3)), ((4, 5, 2), (-1, 0)), ((9, 8), (1,))]:
        case("reduce_mean", dict(axes=commas(axes)), {"x": n(*shape)},   # 1 / count is exact as a float
             one(lambda o, d=axes: o["x"].mean(d)))

    # pooling: of negative numbers too, where padding must not win
    for shape, k, s, p, up in [
            ((1, 17, 7, 7), 3, 2, 0, True), ((1, 3, 10, 9), 3, 2, 0, True), ((1, 3, 10, 9), 3, 2, 0, False),
            ((2, 16, 8, 6), 3, 2, 1, True), ((1, 2, 8, 9), 3, 3, 1, True), ((1, 3, 7, 5), 2, 2, 1, True),
            ((1, 18, 7, 9), (2, 3), (1, 2), (0, 1), False), ((1, 3, 1, 9), (1, 4), (1, 2), (0, 2), True),
            ((1, 3, 9, 4), (5, 1), (3, 2), (2, 0), True), ((1, 4, 3, 2), 4, 4, 0, True), ((1, 5, 6, 6), 2, 3, 0, True)]:
        pairs = {name: v if isinstance(v, tuple) else (v, v) for name, v in dict(kernel=k, stride=s, padding=p).items()}
        a = {name + side: v[i] for name, v in pairs.items() for i, side in enumerate(["_h", "_w"])}
        a = dict(a, ceil_mode=up) if isinstance(k, tuple) else dict(kernel=k, stride=s, padding=p, ceil_mode=up)
        case("max_pool2d", a, {"x": rounded(n(*shape) - 5)},
             one(lambda o, t=(k, s, p), up=up: F.max_pool2d(o["x"], *t, ceil_mode=up)))
        for count in [True, False]:
            case("avg_pool2d", dict(a, count_include_pad=count), {"x": n(*shape)},
                 one(lambda o, t=(k, s, p), up=up, c=count: F.avg_pool2d(o["x"], *t, up, c)))
    for shape, h, w in [((2, 3, 6, 6), 3, 2), ((1, 17, 7, 5), 3, 3), ((1, 16, 4, 9), 6, 4), ((2, 3, 5, 6), 1, 1),
                        ((1, 18, 10, 11), 7, 7)]:
        a = dict(height=h, width=w)
        case("adaptive_avg_pool2d", a, {"x": n(*shape)}, one(lambda o, s=(h, w): F.adaptive_avg_pool2d(o["x"], s)))
        case("adaptive_max_pool2d", a, {"x": n(*shape)}, one(lambda o, s=(h, w): F.adaptive_max_pool2d(o["x"], s)))
    for shape, h, w in [((1, 3, 7, 5), 11, 13), ((1, 17, 9, 10), 4, 7), ((1, 2, 1, 6), 3, 1), ((1, 2, 16, 12), 5, 12)]:
        a, x = dict(height=h, width=w), {"x": n(*shape)}
        case("resize_area", a, x, one(lambda o, s=(h, w): F.interpolate(o["x"], s, mode="area")))
        for corners in [False, True]:
            case("resize_bilinear", dict(a, align_corners=corners), x,
                 one(lambda o, s=(h, w), c=corners: F.interpolate(o["x"], s, mode="bilinear", align_corners=c)))

    # batch normalisation
    for shape, given, a in [
            ((8, 33), "gamma beta", dict(training=True, groups=2)), ((12, 19), "", dict(training=True, groups=3)),
            ((5, 16), "", dict(training=False)), ((4, 17, 3, 3), "", dict(training=False)),
            ((4, 17, 3, 3), "", dict(training=True, groups=2)), ((3, 20, 2, 3), "beta", dict(training=True)),
            ((3, 5, 2, 3), "gamma", dict(training=False)), ((6, 40), "gamma beta", dict(training=True))]:
        c = shape[1]
        o = {"x": rounded(2 * n(*shape) + 1), "running_mean": n(c), "running_var": rounded(n(c).abs() + 0.5)}
        o |= {name: n(c) for name in given.split()}
        case("batch_norm", a, o, lambda o, a=a: batch_norm(o, **a))

    # convolutions
    for x, w, b, a in [
            ((1, 20, 7, 8), (20, 1, 3, 3), True, dict(stride=2, padding=1, groups=20)),
            ((2, 32, 6, 5), (32, 1, 3, 3), False, dict(stride=2, padding=1, groups=32)),
            ((1, 32, 5, 5), (32, 1, 5, 5), True, dict(padding=2, groups=32)),
            ((1, 6, 5, 7), (12, 1, 3, 3), True, dict(padding=1, groups=6)),
            ((2, 15, 5, 6), (9, 5, 3, 3), True, dict(padding=1, groups=3)),
            ((1, 34, 4, 5), (18, 17, 3, 3), False, dict(padding=1, groups=2)),
            ((1, 48, 4, 4), (32, 24, 1, 1), False, dict(groups=2)),
            ((1, 12, 7, 6), (8, 3, 3, 3), False, dict(dilation=2, padding=2, groups=4)),
            ((1, 10, 9, 9), (10, 1, 3, 3), False, dict(dilation=3, padding=3, stride=2, groups=10)),
            ((1, 20, 5, 9), (18, 20, 1, 7), True, dict(padding=(0, 3))),
            ((1, 18, 9, 5), (20, 18, 7, 1), False, dict(padding=(3, 0))),
            ((2, 3, 9, 8), (17, 3, 3, 5), True, dict(stride=2, padding=(0, 3))),
            ((1, 16, 7, 7), (16, 1, 7, 7), False, dict(groups=16)),
            ((1, 3, 8, 9), (16, 3, 3, 3), True, dict(stride=2, dilation=2, padding=(2, 1)))]:
        o = {"x": n(*x), "w": n(*w)} | ({"b": n(w[0])} if b else {})
        case("conv2d", ours(a), o, one(lambda o, a=a: F.conv2d(o["x"], o["w"], o.get("b"), **a)))
    for x, w, b, a in [
            ((1, 20, 4, 3), (20, 1, 3, 3), True, dict(stride=2, padding=1, output_padding=1, groups=20)),
            ((1, 32, 3, 3), (32, 1, 4, 4), False, dict(stride=2, padding=1, groups=32)),
            ((2, 15, 4, 3), (15, 3, 3, 3), True, dict(stride=2, padding=1, groups=3)),
            ((1, 6, 4, 5), (6, 2, 3, 3), True, dict(padding=1, groups=6)),
            ((1, 18, 5, 6), (18, 17, 1, 7), True, dict(padding=(0, 3))),
            ((1, 4, 5, 4), (4, 3, 3, 3), False, dict(stride=2, padding=(0, 1), output_padding=(1, 0))),
            ((1, 8, 4, 4), (8, 2, 3, 3), False, dict(dilation=2, padding=2, groups=4))]:
        o = {"x": n(*x), "w": n(*w)} | ({"b": n(w[1] * a.get("groups", 1))} if b else {})
        case("conv_transpose2d", ours(a), o, one(lambda o, a=a: F.conv_transpose2d(o["x"], o["w"], o.get("b"), **a)))
    for x, w, y, a in [
            ((2, 15, 5, 6), (9, 5, 3, 3), (5, 6), dict(padding=1, groups=3)),
            ((1, 20, 7, 8), (20, 1, 3, 3), (4, 4), dict(stride=2, padding=1, groups=20)),
            ((2, 32, 6, 6), (32, 1, 3, 3), (6, 6), dict(padding=1, groups=32)),
            ((1, 18, 9, 5), (20, 18, 7, 1), (9, 5), dict(padding=(3, 0))),
            ((1, 12, 7, 6), (8, 3, 3, 3), (7, 6), dict(dilation=2, padding=2, groups=4))]:
        case("conv2d_weight_grad", dict(ours(a), kernel_h=w[2], kernel_w=w[3]), {"x": n(*x), "dy": n(x[0], w[0], *y)},
             lambda o, w=w, a=a: {"dw": torch.nn.grad.conv2d_weight(o["x"], w, o["dy"], **a)}, grad=False)

    # augmentation
    for b, a in [(40, dict(mode="crop", height=128, width=128)), (12, dict(mode="crop", height=40, width=12)),
                 (12, dict(mode="crop", height=12, width=40, out_height=16, out_width=15, rotate_p=0)),
                 (30, dict(mode="zoom", height=128, width=128)),
                 (12, dict(mode="zoom", height=30, width=20, out_height=16, out_width=17, shift=0.5, degrees=180,
                           rotate_p=1))]:
        case("random_affine", a, {"u": uniform(b, 24 if a["mode"] == "crop" else 5)},
             lambda o, a=a: {"m": torch.stack([random_affine(u, **a) for u in o["u"]])}, grad=False)
    for mode, fill in [("bilinear", -1), ("nearest", 0.5), ("bilinear", 0)]:
        m = torch.tensor([[0.9, -0.31, 1.127, 0.27, 1.07, -1.413], [-1.3, 0.2, 7.37, 0.11, 0.77, 0.93]])
        case("warp", dict(height=8, width=10, mode=mode, fill=fill), {"x": n(2, 3, 9, 7), "m": rounded(m.double())},
             one(lambda o, mode=mode, v=real(fill): warp(o["x"], o["m"], 8, 10, mode, v)), grad=False)
    pictures = lambda *shape: rounded(2 * uniform(*shape) - 1)
    for a in [{}, dict(p_brightness=1, p_contrast=1, p_grey=1), dict(p_grey=0.5),
              dict(p_brightness=0, p_contrast=1, p_grey=0, contrast=1.5),
              dict(p_brightness=1, p_contrast=0, p_grey=0, brightness=2)]:
        case("jitter", a, {"x": pictures(12, 3, 5, 6), "u": uniform(12, 5)},
             one(lambda o, a=a: torch.stack([jitter(x, u, **a) for x, u in zip(o["x"], o["u"])])), grad=False)
    for a in [dict(p=0.5), dict(p=1, size=7, sigma_low=0.3, sigma_high=3), dict(p=1)]:
        case("gaussian_blur", a, {"x": pictures(6, 3, 8, 9), "u": uniform(6, 2)},
             one(lambda o, a=a: torch.stack([blur(x, u, **a) for x, u in zip(o["x"], o["u"])])), grad=False)


def ours(a):
    """PyTorch's attributes of a convolution by our names."""
    out = {}
    for key, value in a.items():
        out |= {key + "_h": value[0], key + "_w": value[1]} if isinstance(value, tuple) else {key: value}
    return out


def crop(u, height, width, low, high):
    """RandomResizedCrop.get_params with its random numbers handed in: top, left, height, width."""
    ratios = (3 / 4, 4 / 3)
    for i in range(10):
        area = height * width * (low + (high - low) * u[4 + 2 * i].item())
        logs = [math.log(r) for r in ratios]
        aspect = math.exp(logs[0] + (logs[1] - logs[0]) * u[5 + 2 * i].item())
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return int(u[3] * (height - h + 1)), int(u[2] * (width - w + 1)), h, w
    w, h = width, height
    if width / height < ratios[0]:
        h = round(w / ratios[0])
    elif width / height > ratios[1]:
        w = round(h * ratios[1])
    return (height - h) // 2, (width - w) // 2, h, w


def random_affine(u, mode, height, width, out_height=0, out_width=0, degrees=15, rotate_p=0.8, shift=1.0):
    """Result pixels to picture pixels: undo the window, then PIL's rotation about the middle of the picture."""
    low, high = real(0.8), real(1.2)
    oh, ow = out_height or height, out_width or width
    if mode == "crop":
        top, left, h, w = crop(u, height, width, low, high)
    else:   # the picture is z times as large as the result: its window there, in pixels of the picture
        z = low + (high - low) * u[4].item()
        w, h = width / z, height / z
        left = -(1 - z) * (0.5 + shift * (u[2].item() - 0.5)) * w
        top = -(1 - z) * (0.5 + shift * (u[3].item() - 0.5)) * h
    window = torch.tensor([[w / ow, 0, left + (w / ow - 1) / 2], [0, h / oh, top + (h / oh - 1) / 2], [0, 0, 1]],
                          dtype=torch.double)
    turn = torch.eye(3, dtype=torch.double)
    if u[0] < real(rotate_p):
        angle = math.radians(degrees * (2 * u[1].item() - 1))
        c, s = math.cos(angle), math.sin(angle)
        x, y = (width - 1) / 2, (height - 1) / 2
        turn = torch.tensor([[c, -s, x - c * x + s * y], [s, c, y - s * x - c * y], [0, 0, 1]], dtype=torch.double)
    return (turn @ window)[:2].flatten()


def warp(x, m, height, width, mode, fill):
    """grid_sample wants points in [-1, 1] from corner centre to corner centre, and fills with zeros."""
    oy, ox = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    o = torch.stack([ox, oy, torch.ones_like(ox)], -1).double()
    s = torch.einsum("hwk,bck->bhwc", o, m.view(-1, 2, 3))
    grid = 2 * s / torch.tensor([x.shape[3] - 1, x.shape[2] - 1]).double() - 1
    return F.grid_sample(x - fill, grid, mode=mode, padding_mode="zeros", align_corners=True) + fill


def jitter(x, u, brightness=0.4, contrast=0.4, p_brightness=0.5, p_contrast=0.5, p_grey=0.05):
    """adjust_brightness, adjust_contrast and rgb_to_grayscale on pictures in [0, 1]."""
    grey = lambda v: (torch.tensor([0.299, 0.587, 0.114]).double().view(3, 1, 1) * v).sum(0, keepdim=True)
    factor = lambda u, s: max(0, 1 - s) + (1 + s - max(0, 1 - s)) * u
    v = (x + 1) / 2
    if u[0] < real(p_brightness):
        v = (v * factor(u[1], real(brightness))).clamp(0, 1)
    if u[2] < real(p_contrast):
        f = factor(u[3], real(contrast))
        v = (f * v + (1 - f) * grey(v).mean()).clamp(0, 1)
    if u[4] < real(p_grey):
        v = grey(v).expand(3, -1, -1)
    return 2 * v - 1


def blur(x, u, p, size=5, sigma_low=1, sigma_high=2):
    """GaussianBlur: the border mirrored, every channel alone."""
    if u[0] >= real(p):
        return x
    low, high = real(sigma_low), real(sigma_high)
    d = torch.arange(size).double() - size // 2
    w = torch.exp(-0.5 * (d / (low + (high - low) * u[1])) ** 2)
    w = w / w.sum()
    kernel = (w[:, None] * w[None, :]).expand(len(x), 1, size, size)
    return F.conv2d(F.pad(x[None], [size // 2] * 4, mode="reflect"), kernel, groups=len(x))[0]


if __name__ == "__main__":
    main(collect, "ops_shape.safetensors", "ops_shape.py", __doc__)
