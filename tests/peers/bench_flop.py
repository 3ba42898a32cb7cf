"""The nominal FLOP of what build/bin/bench times, from the shapes of the networks alone.

    python tests/peers/bench_flop.py            writes tests/bench.csv (read by bench, checked by 740_bench)

Rules: convolutions and matrix products only, 2 FLOP a multiply-add; a convolution counts every tap, padding too, and
one behind nearest upsampling runs on the large map, however it is computed.  Each layer counts once forward (f), once
for the gradient of its weights (w) and once for that of its input (d), where the equations need it:

    A   f w d in both steps; no d of its first layer, whose input is the picture
    G   step 1: f; w and d for equation 8, no d of its first layer; d again, of all layers, for equation 7, whose
        cotangent is another.  step 2: f w d, one cotangent for both
    D   step 1: f w d on real and made pictures for equation 6, no d of its first layer; d on the made ones, without the
        last layer, for equation 5.  step 2: nothing
    I   step 1: f d on the made pictures, which reach its first layer.  f_I(x^s) is given
    R   f w d with its head and ArcFace's cosines; no d of its first layer.  Encoding: f

`besides` is what the recorded program counts more than that: its pass for equation 5 goes through D with the whole
batch, real pictures too.  Needs nothing but Python.
"""
import configparser
import csv
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
IDENTITY_1G = (2, 3, 4, 2)   # bottleneck blocks of the stand-in for f_I, about 1 GMAC at 128x128
DEPTHS = {8: (1, 1), 11: (1, 1, 1), 14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def conv(inputs, filters, kernel, side):
    """Multiply-adds for one picture; `side` of the result."""
    return inputs * filters * kernel * kernel * side * side


def trunk(size, width):
    layers, c, side, k = [conv(3, width, 4, size // 2)], width, size // 4, 2
    while side >= 4:
        f = width * (8 if side == 4 else 2 if k == 2 else 4)
        layers.append(conv(c, f, 4, side))
        c, side, k = f, side // 2, k + 1
    return layers


def encoder(size, width, z):
    return trunk(size, width) + [conv(8 * width, 16 * width, 4, 1), 16 * width * z, 16 * width * z]


def discriminator(size, width):
    return trunk(size, width) + [conv(8 * width, 4 * width, 4, 1), 4 * width]


def generator(size, width, inputs):
    layers, c, side = [], inputs, 4
    while side <= size:
        f = width * (16 if side == 4 else min(8, size // side))
        layers += [conv(c, f, 4, 1) if side == 4 else conv(c, f, 3, side), conv(f, f, 3, side), conv(f, 3, 1, side)]
        c, side = f, 2 * side
    return layers


def recogniser(size, width, blocks, embedding, pool):
    small = size < 64
    side = size if small else size // 2
    layers = [conv(3, width, 3 if small else 7, side)]
    side, c = side if small else side // 2, width
    for stage, n in enumerate(blocks):
        w = width << stage
        for b in range(n):
            half = 2 if stage and not b else 1
            layers += [conv(c, w, 1, side), conv(w, w, 3, side // half), conv(w, 4 * w, 1, side // half)]
            if half == 2 or c != 4 * w:
                layers.append(conv(c, 4 * w, 1, side // half))
            side, c = side // half, 4 * w
    return layers + [(c if pool else c * side * side) * embedding]


def train(layers):
    return 3 * sum(layers) - layers[0]


def synthesis(batch, size, a_width, z, g_width, embedding, identity):
    a, d = encoder(size, a_width, z), discriminator(size, a_width)
    g, i = generator(size, g_width, embedding + z), recogniser(size, *identity, embedding, True)
    feature = sum(d[:-1])
    first = train(a) + train(g) + sum(g) + 2 * train(d) + feature + 2 * sum(i)
    return 2 * batch * first, 2 * batch * feature, 2 * batch * (train(a) + 3 * sum(g))


def recognition(batch, size, width, blocks, embedding, pool, classes):
    return 2 * batch * (train(recogniser(size, width, blocks, embedding, pool)) + 3 * classes * embedding)


def preset(name):
    c = configparser.ConfigParser(inline_comment_prefixes=(";",))
    c.read(ROOT / f"experiments/presets/{name}.ini")
    size, embedding = c.getint("data", "size"), c.getint("identity", "embedding")
    width = c.getint("synthesis", "width")
    first, besides, second = synthesis(
        c.getint("synthesis", "batch", fallback=8), size, width, c.getint("synthesis", "z"), width // 2, embedding,
        (c.getint("identity", "width"), DEPTHS[c.getint("identity", "depth")]))
    batch = c.getint("recognition", "batch")
    flop = recognition(batch, size, c.getint("recognition", "width"), DEPTHS[c.getint("recognition", "depth")],
                       c.getint("recognition", "embedding"), c.get("recognition", "head") == "pool",
                       c.getint("data", "original_people"))
    b = c.getint("synthesis", "batch", fallback=8)
    return [(f"{name}.synthesis1", b, first, besides), (f"{name}.synthesis2", b, second, 0),
            (f"{name}.recognition", batch, flop, 0)]


def main():
    first, besides, second = synthesis(8, 128, 128, 128, 64, 512, (64, IDENTITY_1G))
    resnet50 = (128, 64, DEPTHS[50], 512, False)
    rows = [("synthesis1", 8, first, besides), ("synthesis2", 8, second, 0),
            ("recognition", 16, recognition(16, *resnet50, 482), 0),
            ("encoding16", 16, 2 * 16 * sum(recogniser(*resnet50)), 0),
            ("encoding64", 64, 2 * 64 * sum(recogniser(*resnet50)), 0)]
    rows += preset("quick") + preset("smoke")
    with open(ROOT / "tests/bench.csv", "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["step", "images", "flop", "besides", "written by tests/peers/bench_flop.py, which says how"])
        out.writerows(rows)
    for key, images, flop, _ in rows:
        print(f"{key:20} {images:4} images {flop / 1e9:10.3f} GFLOP")
    print(f"stand-in for f_I: {sum(recogniser(128, 64, IDENTITY_1G, 512, True)) / 1e9:.3f} GMAC")


if __name__ == "__main__":
    main()
