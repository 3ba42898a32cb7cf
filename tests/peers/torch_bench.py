"""bench's synthesis, recognition and encoding steps beside PyTorch's, in turn on the same machine.

    python tests/peers/torch_bench.py --bench build/bin/bench --rounds 5
        [--only a,b,c] [--steps 1] [--threads 2] [--modes eager,channels_last,compile] [--precisions fp32,bf16] [--json]
    python tests/peers/torch_bench.py --device cuda [--batch 128] [--ours fp32,tf32,bf16] [--graph on,off]
        [--modes eager,channels_last,compile,compile-reduce,compile-max] [--precisions fp32,tf32,bf16]
    python tests/peers/torch_bench.py --flop        counts PyTorch's FLOP instead, beside those of tests/bench.csv

A round is some steps of ours (a bench that waits on a pipe), then as many of PyTorch's for each precision; every other
round goes backwards.  So whatever else the machine does meets all of them alike, and the ratio of a round is worth more
than its times.  Each precision of PyTorch (bf16 is autocast's) is represented by its fastest mode, found by a trial
before the rounds: eager, channels_last, or torch.compile of the networks in channels_last, which needs a C++ compiler
(compile-reduce: mode="reduce-overhead", with CUDA graphs; compile-max: mode="max-autotune").  On CUDA steps are queued,
eight at a time, by both; ours are measured in each precision, as recorded graphs and (--graph off) launch by launch.

The same networks, losses, batch and Adam (PyTorch's fused one); gradients are asked for where the equations need them
(autograd.grad with the parameters that a loss moves, one graph for all).  PyTorch's recognition step has no
augmentation, which ours has.  Needs PyTorch 2, numpy and safetensors.
"""
import argparse
import csv
import gc
import json
import os
import statistics
import subprocess
import sys
import time
import warnings

import torch
import torch.nn.functional as F
from torch import nn

from bench_flop import IDENTITY_1G, ROOT
from networks import AttributeEncoder, Discriminator, Generator, Recogniser

LAMBDA_KL, LAMBDA_GD, LAMBDA_GI, LAMBDA_A = 1e-4, 5e-4, 1.0, 0.1
MODES = ["eager", "channels_last", "compile", "compile-reduce", "compile-max"]
PRECISIONS = ["fp32", "tf32", "bf16"]
QUEUED = 8   # steps between waits on CUDA, as in bench
COMPILE = {"compile": {}, "compile-reduce": {"mode": "reduce-overhead"}, "compile-max": {"mode": "max-autotune"}}


def initialise(module):
    """Weights under which values keep about their size, as those of the engine."""
    for p in module.parameters():
        if p.dim() == 4:
            nn.init.normal_(p, 0, (2 / (p.shape[0] * p.shape[2] * p.shape[3])) ** 0.5)
    return module


def adam(parameters, rate, betas):
    return torch.optim.Adam(parameters, lr=rate, betas=betas, fused=True)


def ready(module, mode):
    """The module as the mode has it; its parameters stay the module's."""
    if mode != "eager":
        module.to(memory_format=torch.channels_last)
    return torch.compile(module, **COMPILE[mode]) if mode in COMPILE else module


def layout(x, mode):
    return x if mode == "eager" else x.contiguous(memory_format=torch.channels_last)


class Synthesis:
    """Equations 1 to 10 at 128x128, batch 8: a step of kind 1, then one of kind 2."""
    keys, images = ["synthesis"], 16

    def __init__(self, mode, precision, device="cpu", batch=8):
        self.mode, self.bf16, self.device = mode, precision == "bf16", device
        a, g = initialise(AttributeEncoder(128, 128, 128)), initialise(Generator(128, 64, 512, 128))
        d, i = initialise(Discriminator(128, 128)), initialise(Pooled(IDENTITY_1G, 64, 512)).requires_grad_(False)
        a, g, d, i = (m.to(device) for m in (a, g, d, i))
        self.of_a, self.of_g, self.of_d = (list(m.parameters()) for m in (a, g, d))
        self.adam_ag, self.adam_d = adam(self.of_a + self.of_g, 1e-4, (0.5, 0.999)), adam(self.of_d, 4e-4, (0.5, 0.999))
        self.a, self.g, self.d, self.i = (ready(m, mode) for m in (a, g, d, i))
        self.pixels = torch.randint(256, (8, 3, 128, 128), dtype=torch.uint8, device=device)
        self.identity = F.normalize(torch.randn(8, 512, device=device))

    def made(self):
        x = layout(self.pixels.float() / 127.5 - 1, self.mode)
        code = self.a(x, "train")
        mean, log_variance = code["mean"].float(), code["log_variance"].float()
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        images = self.g(self.identity, z, "train")
        terms = [((F.interpolate(x, y.shape[2:], mode="area") - y.float()) ** 2).mean() for y in images.values()]
        return x, mean, log_variance, images["image_128"], sum(terms) / (2 * len(terms))

    def move(self, optimizer, parameters, gradients):
        for p, gradient in zip(parameters, gradients):
            p.grad = gradient
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def first(self):
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            x, mean, log_variance, y, gr = self.made()
            seen = self.d(torch.cat([x, y.to(x.dtype)]), "train", 2)
            real, fake = seen["feature"].float().chunk(2)
            logit_real, logit_fake = seen["logit"].float().chunk(2)
            kl = 0.5 * (log_variance.exp() + mean ** 2 - 1 - log_variance).sum(1).mean()
            gd = 0.5 * ((real.detach() - fake) ** 2).sum(1).mean()
            gi = 0.5 * ((self.identity - F.normalize(self.i(y, "eval").float())) ** 2).sum(1).mean()
            loss_d = F.softplus(-logit_real).mean() + F.softplus(logit_fake).mean()
        to_a = torch.autograd.grad(gr + LAMBDA_KL * kl, self.of_a, retain_graph=True)
        to_d = torch.autograd.grad(loss_d, self.of_d, retain_graph=True)
        to_g = torch.autograd.grad(gr + LAMBDA_GD * gd + LAMBDA_GI * gi, self.of_g)
        self.move(self.adam_ag, self.of_a + self.of_g, to_a + to_g)
        self.move(self.adam_d, self.of_d, to_d)

    def second(self):
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            loss = LAMBDA_A * self.made()[-1]
        both = self.of_a + self.of_g
        self.move(self.adam_ag, both, torch.autograd.grad(loss, both))

    def step(self):
        self.first()
        self.second()


class Pooled(nn.Module):
    """f_I's stand-in: its last map is averaged before the head."""

    def __init__(self, blocks, width, embedding):
        super().__init__()
        self.trunk = Recogniser(blocks, width, 1, embedding)

    def forward(self, x, mode):
        h = super(Recogniser, self.trunk).forward(x, mode)
        return self.trunk.head(h.mean((2, 3), keepdim=True), mode)


class Embedder(nn.Module):
    """ResNet-50 with the head, dropout included."""

    def __init__(self):
        super().__init__()
        self.net = Recogniser((3, 4, 6, 3), 64, 4, 512)

    def forward(self, x, mode):
        head = self.net.head
        h = head.bn1(super(Recogniser, self.net).forward(x, mode), mode).flatten(1)
        return head.bn2(head.fc(F.dropout(h, 0.5)), mode)


class Recognition:
    """ResNet-50 with ArcFace over 482 identities at 128x128."""
    keys, images = ["recognition"], 16

    def __init__(self, mode, precision, device="cpu", batch=16):
        self.mode, self.bf16, self.device = mode, precision == "bf16", device
        r = initialise(Embedder()).to(device)
        self.classes = nn.Parameter(0.01 * torch.randn(482, 512, device=device))
        self.adam = adam(list(r.parameters()) + [self.classes], 1e-3, (0.9, 0.999))
        self.r = ready(r, mode)
        self.pixels = torch.randint(256, (batch, 3, 128, 128), dtype=torch.uint8, device=device)
        self.labels = torch.randint(482, (batch,), device=device)

    def step(self):
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            z = self.r(layout(self.pixels.float() / 127.5 - 1, self.mode), "train")
            cosine = F.linear(F.normalize(z), F.normalize(self.classes)).float().clamp(-1 + 1e-7, 1 - 1e-7)
            own = F.one_hot(self.labels, 482).bool()
            loss = F.cross_entropy(64 * torch.where(own, torch.cos(torch.acos(cosine) + 0.5), cosine), self.labels)
        loss.backward()
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)


class Encoding:
    """Embeddings of ResNet-50 at 128x128."""
    keys, images = ["encoding16"], 16

    def __init__(self, mode, precision, device="cpu", batch=16):
        self.mode, self.bf16, self.device = mode, precision == "bf16", device
        self.r = ready(initialise(Embedder()).to(device).eval(), mode)
        self.pixels = torch.randint(256, (batch, 3, 128, 128), dtype=torch.uint8, device=device)

    def step(self):
        with torch.no_grad(), torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            self.r(layout(self.pixels.float() / 127.5 - 1, self.mode), "eval")


WORKS = {"a": Synthesis, "b": Recognition, "c": Encoding}


def seconds(work, steps, precision="fp32"):
    cuda, times = work.device == "cuda", []
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "fp32"
    for _ in range(steps):
        if cuda:
            torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(QUEUED if cuda else 1):
            if cuda:
                torch.compiler.cudagraph_mark_step_begin()
            work.step()
        if cuda:
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / (QUEUED if cuda else 1))
    return times


def fastest(kind, precision, modes, device, batch):
    """The work in its fastest mode, and what was tried."""
    tried, best = {}, None
    for mode in modes:
        try:
            torch.manual_seed(1)
            work = kind(mode, precision, device, batch)
            started = time.perf_counter()
            seconds(work, 2, precision)
            warm = time.perf_counter() - started
            tried[mode] = min(seconds(work, 3, precision))
            print(f"  {kind.keys[0]} {precision} {mode}: {1e3 * tried[mode]:.2f} ms (after {warm:.0f} s to warm up)",
                  file=sys.stderr)
        except Exception as e:   # no compiler, or a mode that this PyTorch cannot do: said, and left out
            print(f"  {kind.keys[0]} {precision} {mode}: not to be had: {type(e).__name__}: {str(e)[:300]}",
                  file=sys.stderr)
            continue
        if best is None or tried[mode] < tried[best[0]]:
            best = (mode, work)
        del work
        gc.collect()
        if device == "cuda":
            torch.cuda.empty_cache()
    return best, tried


class Bench:
    """A bench on a pipe."""

    def __init__(self, path, letter, threads, device="cpu", precision="fp32", graph=True, batch=0):
        command = [path, "--only", letter, "--serve", "--device", device, "--threads", str(threads),
                   "--precision", precision] + (["--batch", str(batch)] if batch else [])
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      env=os.environ | ({} if graph else {"ENGINE_NOGRAPH": "1"}))
        if not self.answer().get("ready"):
            raise RuntimeError("bench did not begin")

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError(f"bench ended with status {self.child.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply

    def seconds(self, keys, steps):
        total = [0.0] * steps
        for key in keys:
            self.child.stdin.write(f"{key} {steps}\n")
            self.child.stdin.flush()
            total = [t + ms / 1e3 for t, ms in zip(total, self.answer()["ms"])]
        return total

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def count_flop(letters):
    """What PyTorch's own counter sees of a step, and what bench's program of that step counts."""
    from torch.utils.flop_counter import FlopCounterMode
    with open(ROOT / "tests/bench.csv", newline="") as f:
        nominal = {row["step"]: int(row["flop"]) + int(row["besides"]) for row in csv.DictReader(f)}
    nominal["synthesis"] = nominal["synthesis1"] + nominal["synthesis2"]
    for kind in (WORKS[letter] for letter in letters):
        work = kind("eager", "fp32")
        with FlopCounterMode(display=False) as counter:
            work.step()
        counted, wanted = counter.get_total_flops(), nominal[kind.keys[0]]
        print(f"{kind.keys[0]}: PyTorch {counted / 1e9:.3f} GFLOP, bench.csv {wanted / 1e9:.3f}: {counted / wanted:.5f}")


def quartiles(x):
    q = statistics.quantiles(x, n=4, method="inclusive") if len(x) > 1 else [x[0]] * 3
    return {"n": len(x), "q1": q[0], "median": q[1], "q3": q[2]}


def ours_of(letter, o):
    """A bench for each precision, recorded and not: name to bench."""
    benches = {}
    for precision in o.ours:
        for graph in o.graph:
            name = f"guise {precision}" + ("" if graph == "on" else ", no graph")
            try:
                benches[name] = Bench(o.bench, letter, o.threads, o.device, precision, graph == "on",
                                      o.batch if letter != "a" else 0)
            except RuntimeError as e:   # bench has said why
                print(f"  {name}: not to be had: {e}", file=sys.stderr)
    if not benches:
        sys.exit("torch_bench: no bench began")
    return benches


def compare(letter, o):
    kind = WORKS[letter]
    batch = o.batch if o.batch and letter != "a" else kind.images
    contenders = {}
    for precision in o.precisions:
        best, tried = fastest(kind, precision, o.modes, o.device, batch)
        if best:
            contenders[f"torch {precision} {best[0]}"] = (best[1], tried, precision)
    ours = ours_of(letter, o)
    for bench in ours.values():
        bench.seconds(kind.keys, 1)   # to warm up
    # a precision of PyTorch stands beside the same of ours, where there is one
    beside = {name: f"guise {c[2]}" if f"guise {c[2]}" in ours else next(iter(ours)) for name, c in contenders.items()}
    times = {name: [] for name in ours} | {name: [] for name in contenders}
    ratios = {name: [] for name in contenders}
    for round_ in range(o.rounds):
        order = list(times) if round_ % 2 == 0 else list(times)[::-1]
        this = {}
        for name in order:
            this[name] = (ours[name].seconds(kind.keys, o.steps) if name in ours
                          else seconds(contenders[name][0], o.steps, contenders[name][2]))
            times[name] += this[name]
        for name in contenders:
            ratios[name].append(statistics.median(this[name]) / statistics.median(this[beside[name]]))
    for bench in ours.values():
        bench.close()
    images = kind.images if letter == "a" else batch
    each = 8 if letter == "a" else batch
    return {"work": kind.keys[0], "what": f"{kind.__doc__}  Batch {each}.",
            "images": images,
            "rows": [{"name": name, "ms": quartiles([1e3 * t for t in times[name]]), "beside": beside.get(name),
                      "times_ours": quartiles(ratios[name]) if name in ratios else None,
                      "tried_ms": {m: 1e3 * t for m, t in contenders[name][1].items()} if name in contenders else None}
                     for name in times]}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--bench", default="build/bin/bench", help="the program")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--steps", type=int, default=1, help="of each in a round")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--only", default="a,b", help="a synthesis, b recognition, c encoding")
    p.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    p.add_argument("--batch", type=int, default=0, help="of recognition and encoding (16)")
    p.add_argument("--modes", help="of PyTorch (cpu: the first three; cuda: all)")
    p.add_argument("--precisions", help="of PyTorch (cpu: fp32,bf16; cuda: fp32,tf32,bf16)")
    p.add_argument("--ours", help="our precisions (cpu: fp32,bf16; cuda: fp32,tf32,bf16)")
    p.add_argument("--graph", default="on", help="on, off or both: recorded, or launch by launch")
    p.add_argument("--json", action="store_true")
    p.add_argument("--flop", action="store_true", help="count PyTorch's FLOP and time nothing")
    o = p.parse_args()
    cuda = o.device == "cuda"
    o.modes = o.modes or ",".join(MODES if cuda else MODES[:3])
    o.precisions = o.precisions or ("fp32,tf32,bf16" if cuda else "fp32,bf16")
    o.ours = o.ours or ("fp32,tf32,bf16" if cuda else "fp32,bf16")
    letters, o.modes, o.precisions = o.only.split(","), o.modes.split(","), o.precisions.split(",")
    o.ours, o.graph = o.ours.split(","), o.graph.split(",")
    for given, known in ((letters, WORKS), (o.modes, MODES), (o.precisions, PRECISIONS), (o.ours, PRECISIONS),
                         (o.graph, ["on", "off"])):
        for word in given:
            if word not in known:
                p.error(f"{word}: one of {', '.join(known)} was expected")
    if o.rounds < 1 or o.steps < 1 or o.threads < 1 or o.batch < 0:
        p.error("--rounds, --steps and --threads are 1 at least")
    torch.set_num_threads(o.threads)
    torch.backends.cudnn.benchmark = True
    if cuda and not torch.cuda.is_available():
        sys.exit("torch_bench: this PyTorch sees no GPU")
    if o.flop:
        return count_flop(letters)
    if not os.access(o.bench, os.X_OK):
        p.error(f"{o.bench}: not a program (make builds it)")
    warnings.filterwarnings("ignore", category=UserWarning)
    import torch._functorch.config as functorch
    functorch.donated_buffer = False   # one graph serves several gradients
    results = []
    for letter in letters:
        results.append(compare(letter, o))
        gc.collect()
        if o.json:
            continue
        r = results[-1]
        print(f"{r['what']}  {o.threads} threads, PyTorch {torch.__version__}, {o.rounds} rounds of {o.steps}")
        print(f"  {'':28} {'ms':>9} {'quartiles':>19} {'images/s':>9}  times ours")
        for row in r["rows"]:
            t, q = row["times_ours"], row["ms"]
            ratio = f"{t['median']:.2f} [{t['q1']:.2f}, {t['q3']:.2f}]" if t else "1"
            print(f"  {row['name']:28} {q['median']:9.1f} [{q['q1']:8.1f},{q['q3']:8.1f}] "
                  f"{1e3 * r['images'] / q['median']:9.1f}  {ratio}", flush=True)
    if o.json:
        json.dump({"torch": torch.__version__, "device": torch.cuda.get_device_name() if cuda else "cpu",
                   "threads": o.threads, "rounds": o.rounds, "steps": o.steps, "works": results}, sys.stdout, indent=1)
        print()


if __name__ == "__main__":
    main()
