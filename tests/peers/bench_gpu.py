"""Everything that is timed on a GPU, in one go: `make bench-gpu`.  Needs Python alone; PyTorch stands beside where it is.

    python3 tests/peers/bench_gpu.py --build build [--docs docs/kernels.md] [--raw FILE.json] [--skip kernels,steps,torch]
        [--ops conv2d,adam] [--batch 128] [--rounds 5] [--modes eager,channels_last,compile,compile-reduce,compile-max]
        [--tiny]

 1. ceilings: copy bandwidth, and matrix products in fp32, tf32 and bf16 (build/bin/bench, before all else)
 2. every kernel at the paper's shapes, forward and backward, caches cold, as a share of those ceilings
 3. whole steps: synthesis at batch 8, ResNet-50 with ArcFace at batch 128, encoding; fp32, tf32, bf16; as one recorded
    graph and launch by launch; then beside PyTorch 2 on the same card, in turn (torch_bench.py)
The measured part of docs/kernels.md, between its two marks, is written anew; a short table is printed last.
--tiny takes sizes that an emulated device can do, to test this script.  Status 77: there is no GPU to measure.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
PRODUCTS = ("conv", "matmul")
GOALS = [("synthesis", "eager", 2.0), ("synthesis", "compile", 1.3), ("recognition", "best", 1.2)]


def say(text):
    print(text, file=sys.stderr, flush=True)


def ask(command, graph=True, roofline=None, limit=900):
    """What the program writes as JSON; None, and its last line said, when it fails."""
    environment = dict(os.environ)
    if not graph:
        environment["ENGINE_NOGRAPH"] = "1"
    if roofline:
        environment["GUISE_ROOFLINE"] = str(roofline)
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=limit)
    except subprocess.TimeoutExpired:
        say(f"  {' '.join(command[1:4])}: stopped after {limit} s")
        return None
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1]
        say(f"  {' '.join(command[1:])}: {words}")
        return None
    for line in done.stderr.strip().splitlines():
        say("  " + line)
    return json.loads(done.stdout)


class Gpu:
    def __init__(self, o):
        self.o, self.bin = o, pathlib.Path(o.build) / "bin"
        self.roofline = 48 if o.tiny else None
        self.facts, self.kernels, self.steps, self.torch = {}, [], [], []
        self.precisions = []

    def bench(self, only, precision, *more, graph=True):
        command = [str(self.bin / "bench"), "--device", "cuda", "--json", "--only", only, "--precision", precision]
        return ask(command + (["--repeat", "1", "--queue", "1"] if self.o.tiny else []) + list(more), graph,
                   self.roofline)

    def ceilings(self):
        info = subprocess.run([str(self.bin / "op"), "--info"], capture_output=True, text=True).stdout
        cuda = next((line for line in info.splitlines() if line.startswith("  cuda ")), None)
        if not cuda or "not here" in cuda:
            say("bench-gpu: nothing was measured: " + (cuda.split("not here: ")[-1] if cuda else
                "this build has no CUDA: with NVIDIA's toolkit, make CUDA=1 NVCC=/path/to/nvcc"))
            sys.exit(77)
        r = self.bench("f", "fp32")
        if not r:
            sys.exit("bench-gpu: the ceilings could not be measured")
        c = r["ceilings"]
        products = {p: c[f"{p}_gflop_per_s"] for p in ("fp32", "tf32", "bf16") if f"{p}_gflop_per_s" in c}
        self.precisions = list(products)
        self.facts = {"device": r["machine"], "libraries": r["libraries"], "version": r["version"],
                      "driver": driver(), "copy": c["copy_gb_per_s"]["median"], "products": products,
                      "launch": [s["us_per_op"] for s in r["steps"]]}

    def time_kernels(self):
        for precision in self.precisions:
            say(f"  kernels in {precision}")
            for op in self.o.ops.split(",") if self.o.ops else ["all"]:
                shapes = ["--shapes", self.o.shapes] if self.o.shapes else []
                r = ask([str(self.bin / "op"), op, "--bench", "--json", "--grad", "--backend", "cuda", "--precision",
                         precision] + shapes, roofline=self.roofline or 1024, limit=1800)
                for t in r["timings"] if r else []:
                    product = t["op"].startswith(PRODUCTS) and t["gflop_per_s"] > 0
                    if precision == "fp32" and "tf32" in self.precisions and not product:
                        continue   # nothing but products differs between the two
                    of_copy = t["gb_per_s"] / self.facts["copy"]
                    of_product = t["gflop_per_s"] / self.facts["products"][precision] if product else 0
                    self.kernels.append(t | {"precision": precision, "bound": "products" if of_product > of_copy else
                                             "copy", "share": max(of_copy, of_product)})
        # an op that serves several others' gradients is met several times
        seen = {(k["op"], k["operands"], k["attrs"], k["precision"]): k for k in self.kernels}
        self.kernels = sorted(seen.values(), key=lambda k: (k["op"], k["precision"], k["operands"]))

    def time_steps(self):
        works = [("d", ["--preset", "smoke"])] if self.o.tiny else [
            ("a", []), ("b", ["--batch", str(self.o.batch)]), ("c", ["--batch", "256"])]
        for precision in self.precisions:
            for graph in (True, False):
                for letter, more in works:
                    say(f"  {letter} {precision}, {'graph' if graph else 'launch by launch'}")
                    r = self.bench(letter, precision, *more, graph=graph)
                    self.steps += [s | {"precision": precision, "graph": graph} for s in (r["steps"] if r else [])]

    def beside_torch(self):
        command = [sys.executable, str(ROOT / "tests/peers/torch_bench.py"), "--device", "cuda", "--bench",
                   str(self.bin / "bench"), "--only", "a,b,c", "--batch", str(self.o.batch), "--rounds",
                   str(self.o.rounds), "--graph", "on", "--json", "--threads", str(os.cpu_count() or 1)]
        command += ["--modes", self.o.modes] if self.o.modes else []
        command += ["--ours", ",".join(self.precisions)]
        say("  PyTorch in turn with guise (torch_bench.py)")
        r = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=7200)
        if r.returncode:
            say("  PyTorch could not be put beside: see above")
            return
        r = json.loads(r.stdout)
        self.facts["torch"] = r["torch"]
        self.torch = r["works"]


def driver():
    try:
        return subprocess.run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], capture_output=True,
                              text=True).stdout.split("\n")[0].strip()
    except OSError:
        return ""


# ---------------------------------------------------------------- writing
def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + ["| " + " | ".join(r) + " |" for r in rows]


def spread(q):
    return f"{q['median']:.3g} [{q['q1']:.3g}, {q['q3']:.3g}]"


def markdown(g):
    f = g.facts
    lines = [f"{f['device']}, {'driver ' + f['driver'] + ', ' if f['driver'] else ''}{f['libraries']}; guise "
             f"{f['version']}. Written by `make bench-gpu`.", "",
             f"Ceilings: {f['copy']:.0f} GB/s copied (reads and writes counted); products of 8192x8192 matrices: " +
             ", ".join(f"{p} {r / 1e3:.1f} TFLOP/s" for p, r in f["products"].items()) + "."]
    if g.kernels:
        lines += ["", "Kernels alone, caches cold, medians; a share is of the ceiling that is nearer.", ""]
        lines += table(["kernel", "operands", "precision", "us", "GB/s", "GFLOP/s", "share", "algorithm"], [
            [k["op"], f"`{k['operands']}; {k['attrs']}`", k["precision"], f"{1e3 * k['ms']:.1f}",
             f"{k['gb_per_s']:.0f}", f"{k['gflop_per_s']:.0f}" if k["op"].startswith(PRODUCTS) else "",
             f"{100 * k['share']:.0f} % of {k['bound']}", k["algorithm"]] for k in g.kernels])
    if g.steps:
        lines += ["", "Whole steps; \"graph\": one launch a step, else kernel by kernel.", ""]
        lines += table(["step", "precision", "graph", "ms [quartiles]", "images/s", "TFLOP/s, nominal", "arena + own + "
                        "store, MiB"], [
            [s["what"], s["precision"], "yes" if s["graph"] else "no", spread(s["ms"]),
             f"{s['images_per_s']:.0f}" if s["images_per_s"] else "", f"{(s['gflop_per_s'] or 0) / 1e3:.1f}",
             f"{s['arena_mib'] or 0:.0f} + {s['own_mib'] or 0:.0f} + {s['store_mib'] or 0:.0f}"] for s in g.steps])
    for w in g.torch:
        lines += ["", f"{w['what']} Beside PyTorch {f['torch']}, in turn; \"times ours\" above 1: guise is faster.", ""]
        lines += table(["", "ms [quartiles]", "images/s", "times ours", "beside"], [
            [r["name"], spread(r["ms"]), f"{1e3 * w['images'] / r['ms']['median']:.0f}",
             spread(r["times_ours"]) if r["times_ours"] else "", r["beside"] or ""] for r in w["rows"]])
    return "\n".join(lines)


def write_docs(path, text):
    page = path.read_text()
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        sys.exit(f"bench-gpu: {path}: the marks {BEGIN} and {END} were expected, once each")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    path.write_text(before + BEGIN + "\n" + text + "\n" + END + after)


def short(g):
    """What one wants to know first, and the goals."""
    lines = [f"{g.facts['device']}: copy {g.facts['copy']:.0f} GB/s, products " +
             ", ".join(f"{p} {r / 1e3:.0f}" for p, r in g.facts["products"].items()) + " TFLOP/s"]
    memory = [k for k in g.kernels if k["bound"] == "copy" and not k["op"].startswith(PRODUCTS)]
    if memory:
        good = sum(k["share"] >= 0.8 for k in memory)
        lines.append(f"memory-bound kernels at 80 % of the copy or more: {good} of {len(memory)}; the slowest:")
        for k in sorted(memory, key=lambda k: k["share"])[:5]:
            lines.append(f"  {100 * k['share']:4.0f} %  {k['op']} {k['operands']}")
    for s in g.steps:
        lines.append(f"{s['step']:20} {s['precision']} {'graph   ' if s['graph'] else 'launches'} "
                     f"{s['ms']['median']:9.3f} ms {s['images_per_s'] or 0:9.0f} images/s")
    for w in g.torch:
        ours = min((r for r in w["rows"] if not r["times_ours"]), key=lambda r: r["ms"]["median"])
        theirs = {f"{r['name'].split()[1]} {mode}": ms for r in w["rows"] for mode, ms in (r["tried_ms"] or {}).items()}
        theirs |= {" ".join(r["name"].split()[1:]): r["ms"]["median"] for r in w["rows"] if r["times_ours"]}
        for mode in ("eager", "channels_last", "compile", ""):
            name = min((n for n in theirs if mode in n), key=theirs.get, default=None)
            goal = [by for work, m, by in GOALS if work == w["work"] and m == (mode or "best")]
            if name:
                lines.append(f"{w['work']}: {ours['name']} is {theirs[name] / ours['ms']['median']:.2f} times as fast as "
                             f"PyTorch's {'best, ' * (not mode)}{name}" + (f" (goal {goal[0]})" if goal else ""))
    return "\n".join(lines)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--build", default="build", help="folder with bin/")
    p.add_argument("--docs", default=str(ROOT / "docs/kernels.md"), help="page to write into; empty: none")
    p.add_argument("--raw", help="all numbers as JSON")
    p.add_argument("--skip", default="", help="some of kernels, steps, torch")
    p.add_argument("--ops", help="kernels of these ops only")
    p.add_argument("--shapes", help="operands of those, instead of the paper's")
    p.add_argument("--batch", type=int, default=128, help="of recognition")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--modes", help="of PyTorch")
    p.add_argument("--tiny", action="store_true")
    o = p.parse_args()
    skip = o.skip.split(",") if o.skip else []
    for word in skip:
        if word not in ("kernels", "steps", "torch"):
            p.error(f"--skip {word}: kernels, steps or torch was expected")
    if o.tiny and not o.ops:
        o.ops, o.shapes = "tanh", "2x4x3x3"
    g = Gpu(o)
    say("ceilings")
    g.ceilings()
    say("kernels")
    if "kernels" not in skip:
        g.time_kernels()
    say("steps")
    if "steps" not in skip:
        g.time_steps()
    if "torch" not in skip and not o.tiny:
        g.beside_torch()
    if o.raw:
        pathlib.Path(o.raw).write_text(json.dumps({"facts": g.facts, "kernels": g.kernels, "steps": g.steps,
                                                   "torch": g.torch}, indent=1))
    if o.docs:
        write_docs(pathlib.Path(o.docs), markdown(g))
    print(short(g))


if __name__ == "__main__":
    main()
