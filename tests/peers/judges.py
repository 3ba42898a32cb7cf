"""Real networks judge the portraits: python tests/peers/judges.py --weights DIR --lfw DIR --worlds 777 4242

For every world `portraits` draws PEOPLE people in IMAGES pictures each (camera "studio"), and a few pictures through
the other cameras.  MTCNN finds the faces; what it finds is aligned by its own five points and shown to recognisers
that never saw a portrait.  Photographs of LFW go the same way: the same number of people, at most as many pictures
each.  Printed as a table in Markdown, written as CSV with --csv.

    one face        share of pictures with exactly one detection of probability above 0.9
    EER             matching against non-matching, all pairs; cosine, for dlib's network Euclidean distance
    inner face      EER with everything outside an oval round the inner face grey
    hard            EER against people of the same sex and style of hair, skin, age and hair's colour alike
    colour          EER of the distance between the mean colours of the inner faces
    cosine          mean cosine between pictures of different people
    dimension       (sum of eigenvalues)^2 / sum of their squares, of the covariance of one vector of each person:
                    mean over which picture is taken.  It grows with the number of people: compare equal numbers.

Intervals are 95 %, by bootstrap over people.  Needs torch, onnxruntime and Pillow.  A world takes about six minutes
of one processor.
"""
import argparse
import csv
import hashlib
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.numpy import load_file

CAMERAS = ("studio", "london", "multipie", "frav2d", "mixed")
# Where a judge wants eyes, nose and corners of the mouth, as shares of the side: InsightFace's 112 x 112 template, and
# dlib's mean face with a quarter of its breadth around it.  On LFW the second halves the error of dlib's network.
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
                     [70.7299, 92.2041]]) / 112
TEMPLATE_DLIB = (np.array([[.2255, .2160], [.7548, .2160], [.4901, .5156], [.2541, .7802], [.7261, .7802]]) + .25) / 1.5
OVAL = (56 / 112, 66 / 112, 36 / 112, 46 / 112)  # the inner face in TEMPLATE: centre and radii


# ---- MTCNN (facenet-pytorch's weights and settings: thresholds 0.6 0.7 0.7, factor 0.709, smallest face 20), batched


def suppress(boxes, scores, threshold, smaller=False):
    """Indices that non-maximum suppression keeps; `smaller` divides by the smaller area and counts pixels."""
    one = 1 if smaller else 0
    order, kept = np.argsort(-scores), []
    area = (boxes[:, 2] - boxes[:, 0] + one) * (boxes[:, 3] - boxes[:, 1] + one)
    while len(order):
        i, order = order[0], order[1:]
        kept.append(i)
        low, high = np.maximum(boxes[i, :2], boxes[order, :2]), np.minimum(boxes[i, 2:4], boxes[order, 2:4])
        common = np.prod(np.maximum(high - low + one, 0), axis=1)
        whole = np.minimum(area[i], area[order]) if smaller else area[i] + area[order] - common
        order = order[common <= threshold * whole]
    return np.array(kept, int)


def squared(boxes):
    centre, side = (boxes[:, :2] + boxes[:, 2:4]) / 2, (boxes[:, 2:4] - boxes[:, :2]).max(1, keepdims=True)
    return np.concatenate([centre - side / 2, centre + side / 2], 1)


class Mtcnn:
    def __init__(self, folder):
        self.nets = [{k: torch.tensor(v) for k, v in load_file(f"{folder}/mtcnn_{n}.safetensors").items()}
                     for n in ("pnet", "rnet", "onet")]

    def run(self, net, x):
        d = self.nets[net]

        def conv(name, x):
            return F.conv2d(x, d[name + ".weight"], d[name + ".bias"])

        def dense(name, x):
            return F.linear(x, d[name + ".weight"], d[name + ".bias"])

        def bend(name, x):
            return F.prelu(x, d[name + ".weight"])

        x = bend("prelu1", conv("conv1", x))
        x = F.max_pool2d(x, 3 if net else 2, 2, ceil_mode=True)
        x = bend("prelu2", conv("conv2", x))
        if net:
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        x = bend("prelu3", conv("conv3", x))
        if net == 0:
            return torch.softmax(conv("conv4_1", x), 1)[:, 1], conv("conv4_2", x)
        if net == 1:
            x = bend("prelu4", dense("dense4", x.permute(0, 3, 2, 1).flatten(1)))
            return torch.softmax(dense("dense5_1", x), 1)[:, 1], dense("dense5_2", x)
        x = F.max_pool2d(x, 2, 2, ceil_mode=True)
        x = bend("prelu4", conv("conv4", x))
        x = bend("prelu5", dense("dense5", x.permute(0, 3, 2, 1).flatten(1)))
        return torch.softmax(dense("dense6_1", x), 1)[:, 1], dense("dense6_2", x), dense("dense6_3", x)

    def propose(self, pictures):
        """Boxes of the first net for every picture."""
        found = [[] for _ in pictures]
        height, width = pictures.shape[2:]
        scale = 12 / 20
        while min(height, width) * scale >= 12:
            size = (int(height * scale + 1), int(width * scale + 1))
            p, move = self.run(0, (F.interpolate(pictures, size=size, mode="area") - 127.5) * 0.0078125)
            p, move = p.numpy(), move.numpy()
            for n in range(len(pictures)):
                y, x = np.where(p[n] >= 0.6)
                if len(y):
                    box = np.floor(np.stack([2 * x + 1, 2 * y + 1, 2 * x + 12, 2 * y + 12], 1) / scale)
                    rows = np.concatenate([box, p[n, y, x][:, None], move[n][:, y, x].T], 1)
                    found[n].append(rows[suppress(box, rows[:, 4], 0.5)])
            scale *= 0.709
        boxes = []
        for rows in found:
            rows = np.concatenate(rows) if rows else np.zeros((0, 9))
            rows = rows[suppress(rows[:, :4], rows[:, 4], 0.7)]
            size = (rows[:, 2:4] - rows[:, :2])[:, [0, 1, 0, 1]]
            boxes.append(squared(rows[:, :4] + rows[:, 5:] * size))
        return boxes

    def crops(self, pictures, boxes, side):
        height, width = pictures.shape[2:]
        out = []
        for n, rows in enumerate(boxes):
            for b in rows:
                x0, y0 = int(max(b[0], 1)), int(max(b[1], 1))
                x1, y1 = int(min(b[2], width)), int(min(b[3], height))
                if x1 <= x0 - 1 or y1 <= y0 - 1:
                    out.append(torch.zeros(1, 3, side, side))
                    continue
                part = pictures[n:n + 1, :, y0 - 1:y1, x0 - 1:x1]
                out.append((F.interpolate(part, size=(side, side), mode="area") - 127.5) * 0.0078125)
        return torch.cat(out) if out else torch.zeros(0, 3, side, side)

    @torch.no_grad()
    def detect(self, rgb):
        """(n, H, W, 3) bytes to a list of (probabilities, points (k, 5, 2)) in each picture's pixels."""
        pictures = torch.tensor(rgb).permute(0, 3, 1, 2).float()
        boxes = self.propose(pictures)
        out = [(np.zeros(0), np.zeros((0, 5, 2))) for _ in boxes]
        for net, side in ((1, 24), (2, 48)):
            split = np.cumsum([len(b) for b in boxes])[:-1]
            x = self.crops(pictures, boxes, side)
            if not len(x):
                return out
            answers = [np.split(a.numpy(), split) for a in self.run(net, x)]
            for n in range(len(boxes)):
                p, move = answers[0][n], answers[1][n]
                good = p > 0.7
                p, move, box = p[good], move[good], boxes[n][good]
                size = box[:, 2:4] - box[:, :2] + 1
                moved = box + move * size[:, [0, 1, 0, 1]]
                if net == 1:
                    kept = suppress(box, p, 0.7)
                    boxes[n] = squared(moved[kept])
                else:
                    points = answers[2][n][good].reshape(-1, 2, 5).transpose(0, 2, 1)
                    points = points * size[:, None] + box[:, None, :2] - 1
                    kept = suppress(moved, p, 0.7, smaller=True)
                    out[n] = (p[kept], points[kept])
        return out


# ---- recognisers


class Judge:
    def __init__(self, name, path, side, euclidean, prepare, template=TEMPLATE, threads=2):
        self.name, self.side, self.euclidean, self.prepare = name, side, euclidean, prepare
        self.template = template
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options)

    def vectors(self, crops):
        x = self.prepare(crops)
        name = self.session.get_inputs()[0].name
        e = np.concatenate([self.session.run(None, {name: x[i:i + 25].numpy()})[0] for i in range(0, len(x), 25)])
        e = e.reshape(len(x), -1).astype(np.float64)
        return e if self.euclidean else e / np.linalg.norm(e, axis=1, keepdims=True)


def judges_open(folder, threads=2):
    def judge(name, file, *rest):
        return Judge(name, f"{folder}/{file}.onnx", *rest, threads=threads)
    return [judge("0095", "openvino_face_reid_0095", 128, False, lambda x: x.flip(1).contiguous()),
            judge("y1", "insightface_mobilefacenet_y1", 112, False, lambda x: (x - 127.5) * 0.0078125),
            judge("V2", "mobileface_v2", 112, False, lambda x: x),
            judge("dlib", "dlib_face_recognition_densenet", 150, True, lambda x: x, TEMPLATE_DLIB)]


def aligned(rgb, points, side, template=TEMPLATE):
    """Pictures and their five points to crops (n, 3, side, side): the least-squares similarity from the template."""
    t = template * side
    a, q = t - t.mean(0), points - points.mean(1, keepdims=True)
    norm = (a ** 2).sum()
    c = np.einsum("kd,nkd->n", a, q) / norm                                          # scale times cosine
    s = (a[:, 0] * q[:, :, 1] - a[:, 1] * q[:, :, 0]).sum(1) / norm                  # scale times sine
    x, y = np.meshgrid(np.arange(side) - t[:, 0].mean(), np.arange(side) - t[:, 1].mean())
    u = c[:, None, None] * x - s[:, None, None] * y + points[:, :, 0].mean(1)[:, None, None]
    v = s[:, None, None] * x + c[:, None, None] * y + points[:, :, 1].mean(1)[:, None, None]
    height, width = rgb.shape[1:3]
    grid = torch.tensor(np.stack([2 * u / (width - 1) - 1, 2 * v / (height - 1) - 1], -1), dtype=torch.float32)
    pictures = torch.tensor(rgb).permute(0, 3, 1, 2).float()
    return F.grid_sample(pictures, grid, mode="bicubic", padding_mode="zeros", align_corners=True).clamp(0, 255)


def oval(side, template=TEMPLATE):
    """The same part of the face in the crops of any template (its eyes' middle and its height of eyes to mouth)."""
    def frame(t):
        eyes = t[:2].mean(0)
        return eyes, t[3:].mean(0)[1] - eyes[1]
    (at, unit), (from_, base) = frame(template), frame(TEMPLATE)
    y, x = np.mgrid[:side, :side] / side
    u, v = (x - at[0]) / unit * base + from_[0], (y - at[1]) / unit * base + from_[1]
    return torch.tensor(((u - OVAL[0]) / OVAL[2]) ** 2 + ((v - OVAL[1]) / OVAL[3]) ** 2 <= 1)


# ---- a set of pictures and what the networks say of it


class Pictures:
    """rgb (n, H, W, 3), person (n), facts: what is known of each person for hard negatives (None: nothing)."""

    def __init__(self, rgb, person, facts=None):
        self.rgb, self.person, self.facts = rgb, person, facts

    def look(self, mtcnn, judges, cache, recognise=True):
        """Adds count (n) of faces, and for the pictures with a face: shown, colour, whole[name], inner[name]."""
        names = [j.name for j in judges] if recognise else []
        key = hashlib.sha256(self.rgb.tobytes() + repr(("2", names)).encode()).hexdigest()[:24]
        path = os.path.join(cache, key + ".npz") if cache else None
        if path and os.path.exists(path):
            kept = dict(np.load(path))
        else:
            kept = self.measure(mtcnn, judges if recognise else [])
            if path:
                np.savez(path, **kept)
        self.count, self.shown, self.points = kept["count"], kept["shown"], kept["points"]
        self.colour = kept["colour"]
        self.whole = {n: kept["whole_" + n] for n in names}
        self.inner = {n: kept["inner_" + n] for n in names}
        return self

    def measure(self, mtcnn, judges):
        count, shown, points = np.zeros(len(self.rgb), int), [], []
        for i in range(0, len(self.rgb), 50):
            for k, (p, found) in enumerate(mtcnn.detect(self.rgb[i:i + 50])):
                count[i + k] = (p > 0.9).sum()
                if len(p):
                    shown.append(i + k)
                    points.append(found[int(np.argmax(p))])
        shown, points = np.array(shown, int), np.array(points)
        kept = {"count": count, "shown": shown, "points": points}
        inside = oval(112)
        kept["colour"] = np.concatenate([
            aligned(self.rgb[shown[i:i + 100]], points[i:i + 100], 112)[:, :, inside].mean(2).numpy()
            for i in range(0, len(shown), 100)]) if len(shown) else np.zeros((0, 3))
        for j in judges:
            mask, whole, inner = oval(j.side, j.template), [], []
            for i in range(0, len(shown), 100):
                x = aligned(self.rgb[shown[i:i + 100]], points[i:i + 100], j.side, j.template)
                whole.append(j.vectors(x))
                inner.append(j.vectors(torch.where(mask, x, torch.tensor(127.0))))
            kept["whole_" + j.name], kept["inner_" + j.name] = np.concatenate(whole), np.concatenate(inner)
        return kept


def pictures_drawn(program, world, people, images, camera, numbers=True):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "set")
        subprocess.run([program, "--people", str(people), "--images", str(images), "--world", str(world), "--camera",
                        camera, "--population", "judged", "--out", out], check=True, stderr=subprocess.DEVNULL)
        with open(os.path.join(out, "manifest.csv"), newline="") as f:
            rows = list(csv.DictReader(f))
        rgb = np.stack([np.asarray(Image.open(os.path.join(out, r["path"])).convert("RGB")) for r in rows])
    facts = [{"sex": float(r["sex"]) > 0, "age": float(r["age"]), "skin": float(r["person_melanin"]),
              "style": r["hair"], "dark": float(r["person_hair_dark"]), "grey": float(r["person_hair_grey"])}
             for r in rows[::images]]
    return Pictures(rgb, np.repeat(np.arange(people), images), facts)


def pictures_lfw(folder, people, images):
    """The people with the most pictures: the first `images` of each."""
    names = {n: sorted(os.listdir(os.path.join(folder, n))) for n in sorted(os.listdir(folder))}
    chosen = sorted(names, key=lambda n: -len(names[n]))[:people]
    rgb, person = [], []
    for k, n in enumerate(chosen):
        for file in names[n][:images]:
            rgb.append(np.asarray(Image.open(os.path.join(folder, n, file)).convert("RGB")))
            person.append(k)
    return Pictures(np.stack(rgb), np.array(person))


def alike(facts):
    """(P, P): pairs of people that only their faces tell apart."""
    def near(key, limit):
        v = np.array([f[key] for f in facts], float)
        return abs(v[:, None] - v[None]) <= limit
    style = np.array([f["style"] for f in facts])
    out = near("sex", 0) & near("age", 15) & near("skin", 0.15) & near("dark", 0.25) & near("grey", 0.3)
    out &= style[:, None] == style[None]
    np.fill_diagonal(out, False)
    return out


# ---- figures


class Scores:
    """Histograms of similarity: own (P, bins) of each person's pairs, other (P, P, bins) of each pair of people."""

    BINS = 600

    def __init__(self, vectors, person, people, euclidean):
        square = (vectors ** 2).sum(1)
        dots = vectors @ vectors.T
        like = -np.sqrt(np.maximum(square[:, None] + square[None] - 2 * dots, 0)) if euclidean else dots
        i, j = np.triu_indices(len(person), 1)
        s = like[i, j]
        self.low, self.high = s.min(), s.max() + 1e-9
        place = ((s - self.low) / (self.high - self.low) * self.BINS).astype(int)
        a, b = person[i], person[j]
        same = a == b
        self.own = np.zeros((people, self.BINS), np.float32)
        np.add.at(self.own, (a[same], place[same]), 1)
        flat = (a[~same] * people + b[~same]) * self.BINS + place[~same]
        self.other = np.bincount(flat, minlength=people * people * self.BINS).astype(np.float32)
        self.other = self.other.reshape(people, people, self.BINS)

    def eer(self, weight, pairs=None):
        """Equal error rate in percent when person p counts weight[p] times; pairs (P, P) restricts non-matching."""
        w = weight.astype(np.float32)
        match = w @ self.own
        both = np.outer(w, w) if pairs is None else np.outer(w, w) * pairs
        rest = both.reshape(-1) @ self.other.reshape(-1, self.BINS)
        if match.sum() == 0 or rest.sum() == 0:
            return np.nan
        missed = np.concatenate([[0], np.cumsum(match)]) / match.sum()       # below each bin's lower edge
        passed = 1 - np.concatenate([[0], np.cumsum(rest)]) / rest.sum()
        k = int(np.argmax(missed >= passed))
        if k == 0:
            return 50 * (missed[0] + passed[0])
        before, after = passed[k - 1] - missed[k - 1], missed[k] - passed[k]
        t = before / (before + after) if before + after > 0 else 0.5
        return 100 * (missed[k - 1] + t * (missed[k] - missed[k - 1]))


def dimension(vectors, person, picks):
    """Participation ratio of one vector of each person; picks: people, a repeated one counts once."""
    rows = {}
    for i, p in enumerate(person):
        rows.setdefault(p, []).append(i)
    values = []
    for k in range(max(len(r) for r in rows.values())):
        chosen = [rows[p][k % len(rows[p])] for p in picks if p in rows]
        v = np.linalg.eigvalsh(np.cov(vectors[chosen].T))
        values.append(v.sum() ** 2 / (v ** 2).sum())
    return float(np.mean(values))


def cosine(vectors, person, weight):
    """Mean cosine between pictures of different people."""
    sums = np.zeros((len(weight), vectors.shape[1]))
    np.add.at(sums, person, vectors)
    count = np.bincount(person, minlength=len(weight))
    total, pairs = weight @ sums, weight @ count
    return (total @ total - (weight ** 2) @ (sums ** 2).sum(1)) / (pairs ** 2 - (weight ** 2) @ count ** 2)


def interval(function, people, draws, seed=1):
    """Value, 2.5 and 97.5 percentiles over resampled people."""
    random = np.random.RandomState(seed)
    value = function(np.ones(people))
    again = [function(np.bincount(random.randint(people, size=people), minlength=people).astype(float))
             for _ in range(draws)]
    return (value, *np.nanpercentile(again, [2.5, 97.5])) if draws else (value, np.nan, np.nan)


def figures(set_, judges, draws):
    """Rows (figure, judge, value, low, high)."""
    people, out = int(set_.person.max()) + 1, []
    one = np.array([(set_.count[set_.person == p] == 1).mean() for p in range(people)])
    out.append(("one face %", "MTCNN", *interval(lambda w: 100 * (w @ one) / w.sum(), people, draws)))
    person = set_.person[set_.shown]
    hard = alike(set_.facts) if set_.facts else None
    for j in judges:
        whole = Scores(set_.whole[j.name], person, people, j.euclidean)
        inner = Scores(set_.inner[j.name], person, people, j.euclidean)
        out.append(("EER %", j.name, *interval(whole.eer, people, draws)))
        out.append(("EER inner face %", j.name, *interval(inner.eer, people, draws)))
        if hard is not None:
            out.append(("EER hard %", j.name, *interval(lambda w: whole.eer(w, hard), people, draws)))
        if not j.euclidean:
            v = set_.whole[j.name]
            out.append(("cosine", j.name, *interval(lambda w: cosine(v, person, w), people, draws)))
            # Repeated people would lower the dimension: halves show its spread, scaled to the whole.
            value = dimension(v, person, range(people))
            random = np.random.RandomState(2)
            jack = [dimension(v, person, np.delete(np.arange(people), part))
                    for part in np.array_split(random.permutation(people), 20)] if draws else []
            spread = np.sqrt(19 / 20 * np.sum((np.array(jack) - np.mean(jack)) ** 2)) if draws else np.nan
            out.append(("dimension", j.name, value, value - 1.96 * spread, value + 1.96 * spread))
    colour = Scores(set_.colour.astype(np.float64), person, people, True)
    out.append(("EER colour %", "mean RGB", *interval(colour.eer, people, draws)))
    if hard is not None:
        out.append(("hard pairs of people", "", hard.sum() / 2, np.nan, np.nan))
    return out


def print_table(columns):
    """columns: name to rows of figures."""
    keys = list(dict.fromkeys((r[0], r[1]) for rows in columns.values() for r in rows))
    found = {(c, r[0], r[1]): r[2:] for c, rows in columns.items() for r in rows}
    print("| figure | judge | " + " | ".join(columns) + " |\n|---|---|" + "---|" * len(columns))
    for key in keys:
        cells = []
        for c in columns:
            v = found.get((c, *key))
            digits = 3 if key[0] == "cosine" else 1 if v and v[0] >= 20 else 2
            cells.append("" if not v else f"{v[0]:.{digits}f}" if np.isnan(v[1]) else
                         f"{v[0]:.{digits}f} ({v[1]:.{digits}f}..{v[2]:.{digits}f})")
        print(f"| {key[0]} | {key[1]} | " + " | ".join(cells) + " |")


def write_csv(path, columns):
    with open(path, "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(["set", "figure", "judge", "value", "low", "high"])
        for c, rows in columns.items():
            for figure, judge, *v in rows:
                w.writerow([c, figure, judge, *(f"{x:.5g}" for x in v)])


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--weights", required=True, help="folder of the networks")
    a.add_argument("--portraits", default="build/bin/portraits", help="the renderer")
    a.add_argument("--lfw", help="folder of LFW: a column for comparison")
    a.add_argument("--worlds", type=int, nargs="+", default=[777, 4242])
    a.add_argument("--people", type=int, default=200)
    a.add_argument("--images", type=int, default=10)
    a.add_argument("--camera", default="studio", choices=CAMERAS, help="whose pictures the recognisers see")
    a.add_argument("--others", type=int, default=2, help="pictures of each person through each other camera")
    a.add_argument("--draws", type=int, default=200, help="of the bootstrap")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--cache", help="folder that keeps what the networks said")
    a.add_argument("--csv", help="file to write, after each world")
    o = a.parse_args()
    torch.set_num_threads(o.threads)
    if o.cache:
        os.makedirs(o.cache, exist_ok=True)
    mtcnn, judges = Mtcnn(o.weights), judges_open(o.weights, o.threads)
    columns = {}
    for world in o.worlds:
        print(f"world {world}", file=sys.stderr, flush=True)
        drawn = pictures_drawn(o.portraits, world, o.people, o.images, o.camera).look(mtcnn, judges, o.cache)
        columns[f"world {world}"] = rows = figures(drawn, judges, o.draws)
        for camera in CAMERAS if o.others else ():
            if camera != o.camera:
                other = pictures_drawn(o.portraits, world, o.people, o.others, camera)
                count = other.look(mtcnn, judges, o.cache, recognise=False).count.reshape(o.people, -1)
                one = (count == 1).mean(1)
                rows.append((f"one face %, {camera}", "MTCNN",
                             *interval(lambda w: 100 * (w @ one) / w.sum(), o.people, o.draws)))
        if o.csv:
            write_csv(o.csv, columns)
    if o.lfw:
        print("LFW", file=sys.stderr, flush=True)
        columns["LFW"] = figures(pictures_lfw(o.lfw, o.people, o.images).look(mtcnn, judges, o.cache), judges, o.draws)
    print_table(columns)


if __name__ == "__main__":
    main()
