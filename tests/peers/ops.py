"""PyTorch's values and gradients of single ops.

    python tests/peers/ops.py                          writes tests/fixtures/ops.safetensors (read by 210_peer_ops)
    python tests/peers/ops.py --op build/bin/op        runs the same cases live through the program op
                              [--backend cpu] [--seed 2]   another seed gives other numbers

Needs PyTorch 2, numpy and safetensors.  Case N is tensors N.in.OPERAND and N.out.RESULT, named as the program op
names them (a cotangent is the operand d_RESULT, a gradient the result d_OPERAND); metadata "cases" has one line a
case: N, op, attributes.  Reals are floats where they go in and doubles where they come out.
"""
import argparse
import math
import subprocess
import tempfile

import torch
import torch.nn.functional as F

from fixture import far_apart, load_file, normal, real, rounded, save, save_file, tolerance

CASES = []   # (op, attributes, operands, results of, gradients wanted)


def case(op, attrs, operands, run, grad=True):
    """run(operands) gives a dict of results by name; those without history take no cotangent."""
    CASES.append((op, attrs, operands, run, grad))


def collect(g):
    n = lambda *shape: normal(g, *shape)
    positive = lambda *shape: rounded(n(*shape).abs() + 0.5)
    labels = lambda batch, classes: torch.randint(classes, (batch,), generator=g, dtype=torch.int32)
    one = lambda f: lambda o: {"y": f(o)}

    # convolutions
    for x, w, b, a in [
        ((2, 3, 7, 7), (5, 3, 3, 3), True, dict(stride=1, padding=1)),
        ((2, 3, 8, 8), (17, 3, 4, 4), False, dict(stride=2, padding=1)),
        ((2, 17, 4, 4), (6, 17, 4, 4), True, {}),
        ((1, 32, 9, 9), (16, 32, 3, 3), False, dict(padding=1)),
        ((2, 6, 6, 5), (4, 3, 3, 3), True, dict(groups=2, padding=1, stride=2)),
        ((1, 18, 6, 7), (18, 1, 3, 3), False, dict(groups=18, padding=1)),
        ((1, 3, 11, 10), (4, 3, 3, 3), True, dict(dilation=2, padding=2)),
        ((1, 3, 15, 15), (4, 3, 7, 7), False, dict(stride=2, padding=3)),
        ((2, 16, 6, 6), (3, 16, 1, 1), True, {}),
    ]:
        o = {"x": n(*x), "w": n(*w)} | ({"b": n(w[0])} if b else {})
        case("conv2d", a, o, one(lambda o, a=a: F.conv2d(o["x"], o["w"], o.get("b"), **a)))
    case("conv2d", dict(padding_w=3), {"x": n(1, 4, 6, 9), "w": n(3, 4, 1, 7)},
         one(lambda o: F.conv2d(o["x"], o["w"], padding=(0, 3))))
    for x, w, b, a in [
        ((2, 24, 1, 1), (24, 16, 4, 4), False, {}),
        ((2, 5, 4, 4), (5, 3, 4, 4), True, dict(stride=2, padding=1)),
        ((1, 3, 4, 3), (3, 17, 3, 3), True, dict(stride=2, padding=1, output_padding=1)),
        ((2, 4, 5, 5), (4, 3, 3, 3), False, dict(groups=2, padding=1)),
        ((1, 2, 5, 5), (2, 3, 3, 3), False, dict(dilation=2, padding=2, stride=2)),
    ]:
        o = {"x": n(*x), "w": n(*w)} | ({"b": n(w[1] * a.get("groups", 1))} if b else {})
        case("conv_transpose2d", a, o, one(lambda o, a=a: F.conv_transpose2d(o["x"], o["w"], o.get("b"), **a)))
    case("conv2d_weight_grad", dict(stride=2, padding=1, kernel_h=4, kernel_w=4),
         {"x": n(2, 3, 8, 8), "dy": n(2, 17, 4, 4)},
         lambda o: {"dw": torch.nn.grad.conv2d_weight(o["x"], (17, 3, 4, 4), o["dy"], stride=2, padding=1)}, grad=False)

    # batch normalisation
    for shape, affine, a in [
        ((4, 3, 5, 3), True, dict(training=True)),
        ((4, 17, 3, 3), True, dict(training=False)),
        ((6, 17, 3, 3), True, dict(training=True, groups=3, momentum=0.3)),
        ((4, 16, 4, 4), True, dict(training=True, groups=2, eps=0.01)),
        ((5, 2, 4, 4), False, dict(training=True, update=False)),
        ((8, 19), True, dict(training=True)),
        ((4, 7), True, dict(training=False, eps=0.001)),
    ]:
        c = shape[1]
        o = {"x": rounded(2 * n(*shape) + 1), "running_mean": n(c), "running_var": positive(c)}
        o |= {"gamma": n(c), "beta": n(c)} if affine else {}
        case("batch_norm", a, o, lambda o, a=a: batch_norm(o, **a))

    # one operand, element by element
    for op, f in {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "softplus": F.softplus, "exp": torch.exp,
                  "abs": torch.abs, "neg": torch.neg, "square": torch.square}.items():
        case(op, {}, {"x": rounded(3 * n(2, 17, 3, 3))}, one(lambda o, f=f: f(o["x"])))
    case("softplus", {}, {"x": rounded(torch.tensor([-90, -20, -1e-4, 0, 1e-4, 20, 30, 90]))},
         one(lambda o: torch.logaddexp(o["x"], torch.zeros(8, dtype=torch.double))))   # F.softplus is linear above 20
    for op, f in {"log": torch.log, "sqrt": torch.sqrt, "reciprocal": torch.reciprocal}.items():
        case(op, {}, {"x": positive(2, 17, 3, 3)}, one(lambda o, f=f: f(o["x"])))
    for slope in [0.2, 0.0, 0.01]:
        case("leaky_relu", dict(slope=slope), {"x": n(2, 17, 5, 3)},
             one(lambda o, s=slope: F.leaky_relu(o["x"], real(s))))
    kinks = lambda *values: torch.tensor(values, dtype=torch.double)
    case("relu", {}, {"x": n(2, 17, 3)}, one(lambda o: F.relu(o["x"])))
    case("relu", {}, {"x": kinks(-1, 0, 1)}, one(lambda o: F.relu(o["x"])))
    case("relu6", {}, {"x": rounded(4 * n(2, 17, 3))}, one(lambda o: F.relu6(o["x"])))
    case("relu6", {}, {"x": kinks(-1, 0, 1, 6, 7)}, one(lambda o: F.relu6(o["x"])))
    for a in [dict(min=-0.5, max=0.75), dict(min=0.25), dict(max=-0.25), dict(min=1, max=-1)]:
        case("clamp", a, {"x": n(2, 17, 3)}, one(lambda o, a=a: torch.clamp(o["x"], **a)))
    case("clamp", dict(min=-1, max=2), {"x": kinks(-2, -1, 0, 2, 3)}, one(lambda o: torch.clamp(o["x"], -1, 2)))
    for exponent in [2, 3, 0, 1, -2]:
        case("pow", dict(exponent=exponent), {"x": n(2, 17, 3)}, one(lambda o, e=exponent: o["x"].pow(e)))
    for exponent in [0.5, -0.3, 2.7]:
        case("pow", dict(exponent=exponent), {"x": positive(2, 17, 3)},
             one(lambda o, e=exponent: o["x"].pow(real(e))))
    case("pow", dict(exponent=2), {"x": kinks(-1, 0, 1)}, one(lambda o: o["x"].pow(2)))
    case("affine", dict(scale=0.3, shift=-1.5), {"x": n(3, 7)}, one(lambda o: o["x"] * real(0.3) - 1.5))
    case("bytes_to_real", dict(scale=0.0078125, shift=-1),
         {"x": torch.randint(256, (2, 3, 4, 5), generator=g, dtype=torch.uint8)},
         one(lambda o: o["x"].double() * 0.0078125 - 1), grad=False)

    # two operands, broadcast
    for op, f in {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div}.items():
        for a, b in [((2, 17, 3, 5), (2, 17, 3, 5)), ((2, 17, 3, 5), (1, 17, 1, 1)), ((2, 17, 3, 5), (17, 1, 1)),
                     ((5, 1), (1, 7)), ((), (3, 4)), ((2, 1, 4, 1), (3, 1, 5))]:
            case(op, {}, {"a": n(*a), "b": positive(*b)}, one(lambda o, f=f: f(o["a"], o["b"])))

        case(op, {}, {"a": n(2, 17, 3, 5), "b": positive(2, 17, 1, 1)}, one(lambda o, f=f: f(o["a"], o["b"])))
        case(op, {}, {"a": n(1, 18, 3, 2), "b": positive(2, 18, 1, 1)}, one(lambda o, f=f: f(o["a"], o["b"])))
        case(op, {}, {"a": n(17, 1, 1), "b": positive(2, 1, 3, 5)}, one(lambda o, f=f: f(o["a"], o["b"])))
    ties = lambda *shape: torch.randint(-2, 3, shape, generator=g).double()
    for op, f in {"maximum": torch.maximum, "minimum": torch.minimum}.items():
        for a, b in [((2, 17, 2, 3), (2, 17, 2, 3)), ((2, 17, 2, 3), (1, 17, 1, 1)), ((2, 17, 2, 3), (2, 17, 1, 1)),
                     ((17, 1, 1), (2, 1, 2, 3)), ((5, 1), (1, 7)), ((), (3, 4))]:
            case(op, {}, {"a": ties(*a), "b": ties(*b)}, one(lambda o, f=f: f(o["a"], o["b"])))
    for x, slope in [((2, 17, 3, 2), 17), ((2, 17, 3, 2), 1), ((2, 32, 3, 3), 32), ((6, 19), 19), ((7,), 1)]:
        o = {"x": n(*x), "slope": n(slope)}
        o["x"].view(-1)[::5] = 0   # the kink
        case("prelu", {}, o, one(lambda o: F.prelu(o["x"], o["slope"])))

    # sums and shapes
    for shape, axes, keep in [((2, 17, 3, 5), (0, 2, 3), False), ((2, 17, 3, 5), (2, 3), True), ((9, 13), (1,), False),
                              ((9, 13), (0,), True), ((2, 3, 4), (-1,), False)]:
        case("reduce_sum", dict(axes=",".join(map(str, axes)), keepdims=keep), {"x": n(*shape)},
             one(lambda o, d=axes, k=keep: o["x"].sum(d, keepdim=k)))
    case("reduce_sum", {}, {"x": n(2, 17, 3, 5)}, one(lambda o: o["x"].sum()))
    case("reshape", dict(shape="6,-1"), {"x": n(2, 3, 4, 5)}, one(lambda o: o["x"].reshape(6, -1)))
    case("broadcast_to", dict(shape="2,17,3,4"), {"x": n(17, 1, 4)}, one(lambda o: o["x"].broadcast_to(2, 17, 3, 4)))
    case("transpose", dict(permutation="3,1,0,2"), {"x": n(2, 17, 3, 5)}, one(lambda o: o["x"].permute(3, 1, 0, 2)))
    case("concat", dict(axis=1), {"in0": n(2, 16, 3, 3), "in1": n(2, 5, 3, 3), "in2": n(2, 1, 3, 3)},
         one(lambda o: torch.cat([o["in0"], o["in1"], o["in2"]], 1)))
    case("slice", dict(axis=1, start=3, stop=20), {"x": n(2, 33, 2, 3)}, one(lambda o: o["x"][:, 3:20]))
    case("pad_slice", dict(axis=1, start=3, size=20), {"x": n(2, 5, 2, 3)},
         one(lambda o: F.pad(o["x"], (0, 0, 0, 0, 3, 12))))

    # pooling and resizing
    for shape, a in [((2, 17, 7, 7), dict(kernel=3, stride=2, padding=1)), ((2, 3, 6, 6), dict(kernel=2)),
                     ((1, 5, 7, 5), dict(kernel=2, ceil_mode=True)),
                     ((1, 16, 8, 6), dict(kernel=3, stride=2, ceil_mode=True))]:
        t = {{"kernel": "kernel_size"}.get(k, k): v for k, v in a.items()}
        case("max_pool2d", a, {"x": n(*shape)}, one(lambda o, t=t: F.max_pool2d(o["x"], **t)))
        case("avg_pool2d", a, {"x": n(*shape)}, one(lambda o, t=t: F.avg_pool2d(o["x"], **t)))
    case("avg_pool2d", dict(kernel=3, stride=2, padding=1, count_include_pad=False), {"x": n(1, 16, 7, 7)},
         one(lambda o: F.avg_pool2d(o["x"], 3, 2, 1, count_include_pad=False)))
    case("global_avg_pool", {}, {"x": n(2, 17, 4, 3)}, one(lambda o: F.adaptive_avg_pool2d(o["x"], 1).flatten(1)))
    for h, w in [(8, 8), (2, 2), (3, 9)]:
        a = dict(height=h, width=w)
        x = {"x": n(2, 17, 4, 6)}
        case("resize_nearest", a, x, one(lambda o, s=(h, w): F.interpolate(o["x"], s, mode="nearest")))
        case("resize_area", a, x, one(lambda o, s=(h, w): F.interpolate(o["x"], s, mode="area")))
        for corners in [False, True]:
            case("resize_bilinear", dict(a, align_corners=corners), x,
                 one(lambda o, s=(h, w), c=corners: F.interpolate(o["x"], s, mode="bilinear", align_corners=c)))

    # products and losses
    case("matmul", {}, {"x": n(7, 33), "w": n(33, 19), "b": n(19)}, one(lambda o: o["x"] @ o["w"] + o["b"]))
    case("matmul", dict(transpose_w=True), {"x": n(5, 130), "w": n(18, 130), "b": n(18)},
         one(lambda o: F.linear(o["x"], o["w"], o["b"])))
    case("matmul", dict(transpose_x=True), {"x": n(9, 5), "w": n(9, 4)}, one(lambda o: o["x"].T @ o["w"]))
    case("l2_normalize", {}, {"x": n(5, 33)}, one(lambda o: F.normalize(o["x"])))
    case("softmax_cross_entropy", {}, {"x": rounded(4 * n(6, 19)), "labels": labels(6, 19)},
         one(lambda o: F.cross_entropy(o["x"], o["labels"].long(), reduction="none")))
    for scale, margin, easy in [(64, 0.5, False), (16, 0.3, False), (64, 0.5, True), (8, 1.5, False)]:
        a = dict(s=scale, m=margin, easy_gradient=easy)
        case("arcface", a, {"x": n(6, 33), "w": n(17, 33), "labels": labels(6, 17)},
             one(lambda o, a=a: arcface(o, **a)))
    for own in [0.9, -0.99]:   # theta + m on either side of pi, where the exact gradient changes
        o = {"x": n(6, 33), "w": n(17, 33), "labels": labels(6, 17)}
        o["x"] = rounded(own * F.normalize(o["w"])[o["labels"].long()] + 0.02 * o["x"])
        beyond = own_angle(o) + 0.5 > math.pi
        assert beyond.all() if own < 0 else not beyond.any()
        for easy in [False, True]:
            a = dict(s=8, m=0.5, easy_gradient=easy)
            case("arcface", a, o, one(lambda o, a=a: arcface(o, **a)))

    for op, f in {"mse_loss": F.mse_loss, "l1_loss": F.l1_loss}.items():
        for reduction in ["none", "mean", "sum"]:
            case(op, dict(reduction=reduction), {"x": n(3, 17, 5), "target": n(3, 17, 5)},
                 one(lambda o, f=f, r=reduction: f(o["x"], o["target"], reduction=r)))
    for target, made, a in [
        ((2, 3, 16, 16), [(1, 1), (2, 2), (4, 4), (8, 8), (16, 16)], {}),
        ((2, 3, 7, 5), [(3, 2), (7, 5), (9, 11)], {}),
        ((2, 3, 7, 5), [(3, 2), (7, 5)], dict(sum_pixels=True)),
        ((2, 3, 16, 16), [(16, 16)], {}),
    ]:
        o = {"target": n(*target)} | {f"in{1 + i}": n(*target[:2], *s) for i, s in enumerate(made)}
        case("reconstruction_loss", a, o, one(lambda o, a=a: reconstruction(o, **a)))
    for shape, dim in [((6, 19), -1), ((9, 21), 0), ((2, 17, 3, 2), 1), ((7,), 0)]:
        case("softmax", dict(dim=dim), {"x": rounded(4 * n(*shape))}, one(lambda o, d=dim: F.softmax(o["x"], d)))
        case("log_softmax", dict(dim=dim), {"x": rounded(4 * n(*shape))},
             one(lambda o, d=dim: F.log_softmax(o["x"], d)))

    # SGD: each step from the state before it, as floats; the first has no velocities yet, which is zero ones
    for a in [dict(momentum=0.9), dict(momentum=0.9, weight_decay=0.01), dict(weight_decay=0.1),
              dict(momentum=0.5, weight_decay=0.01, nesterov=True)]:
        params = [n(2, 3, 3), n(17)]
        m = [torch.zeros_like(p) for p in params] if "momentum" in a else []
        for step in range(3):
            grads = [rounded(0.1 * n(*p.shape)) for p in params]
            o = {"rate": torch.tensor([real(0.1)], dtype=torch.double)}
            o |= {f"in{1 + i}": x.clone() for i, x in enumerate(params + grads + m)}
            results = sgd(params, grads, m, step, a)
            case("sgd", dict(n=2, **a), o, lambda o, r=results: r, grad=False)
            new = [rounded(x) for x in results.values()]
            params, m = new[:2], new[2:]

    # Adam: each step from the state before it, as floats
    params = [n(2, 3, 3), n(17)]
    m, v = [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params]
    for step in range(3):
        grads = [rounded(0.1 * n(*p.shape)) for p in params]
        a = dict(n=2, beta1=0.5, beta2=0.999, epsilon=1e-8)
        rest = params + grads + m + v
        o = {"rate": torch.tensor([real(1e-3)], dtype=torch.double), "t": torch.tensor([step], dtype=torch.int32)}
        o |= {f"in{2 + i}": x.clone() for i, x in enumerate(rest)}
        results = adam(params, grads, m, v, step, a)
        case("adam", a, o, lambda o, r=results: r, grad=False)
        new = [rounded(results[f"out{1 + i}"]) for i in range(6)]
        params, m, v = new[:2], new[2:4], new[4:]


def own_angle(o):
    """theta of each sample: the angle to the centre of its own class."""
    return torch.arccos((F.normalize(o["x"]) * F.normalize(o["w"])[o["labels"].long()]).sum(1))


def batch_norm(o, training=True, groups=1, eps=1e-5, momentum=0.1, update=True):
    """Groups are separate calls, one after the other."""
    mean, var = o["running_mean"].detach().clone(), o["running_var"].detach().clone()
    y, means, rstds = [], [], []
    for x in o["x"].chunk(groups):
        y.append(F.batch_norm(x, mean, var, o.get("gamma"), o.get("beta"), training, real(momentum), real(eps)))
        axes = [0, 2, 3][:x.dim() - 1] if x.dim() == 4 else [0]
        m = x.mean(axes) if training else o["running_mean"]
        v = x.var(axes, correction=0) if training else o["running_var"]
        means.append(m.detach())
        rstds.append((v.detach() + real(eps)).rsqrt())
    if not update:
        mean, var = o["running_mean"], o["running_var"]
    return {"y": torch.cat(y), "mean": torch.cat(means), "rstd": torch.cat(rstds),
            "new_running_mean": mean.detach(), "new_running_var": var.detach()}


def arcface(o, s, m, easy_gradient):
    """Deng et al. 2019, equation 3, with insightface's straight line beyond theta + m = pi.

    The easy gradient is what autograd makes of insightface's present code, which turns all cosines into angles, adds m
    and turns them back in place under no_grad: it sees a product by s and nothing else.  That code has no straight
    line; where theta + m > pi, which it would take round to growing cosines, the line is laid in the same way here.
    """
    s, m = real(s), real(m)
    cosine = F.normalize(o["x"]) @ F.normalize(o["w"]).T
    rows = torch.arange(len(cosine))
    labels = o["labels"].long()
    own = cosine[rows, labels]
    line = own - m * math.sin(m)
    if easy_gradient:
        with torch.no_grad():
            beyond = torch.arccos(own) + m > math.pi
            cosine.arccos_()
            cosine[rows, labels] += m
            cosine.cos_()
            cosine[rows[beyond], labels[beyond]] = line[beyond]
        logits = s * cosine
    else:
        theta = torch.arccos(own)
        moved = torch.where(theta + m <= math.pi, torch.cos(theta + m), line)
        logits = s * torch.index_put(cosine, (rows, labels), moved)
    return F.cross_entropy(logits, labels, reduction="none")


def reconstruction(o, sum_pixels=False):
    """The paper's equation 4 over in1, in2, ...; with sum_pixels averaged over the batch alone."""
    target, made = o["target"], [v for k, v in o.items() if k != "target"]
    squares = [(F.interpolate(target, x.shape[2:], mode="area") - x) ** 2 for x in made]
    return sum(q.sum() / len(target) if sum_pixels else q.mean() for q in squares) / (2 * len(made))


def sgd(params, grads, m, step, a):
    a = {k: v if isinstance(v, bool) else real(v) for k, v in a.items()}
    held = [p.clone().requires_grad_() for p in params]
    optimizer = torch.optim.SGD(held, lr=real(0.1), **a)
    for i, (p, g) in enumerate(zip(held, grads)):
        p.grad = g.clone()
        if m and step:
            optimizer.state[p] = {"momentum_buffer": m[i].clone()}
    optimizer.step()
    rest = held + [optimizer.state[p]["momentum_buffer"] for p in held if m]
    return {"rest" if i == 0 else f"out{i}": x.detach() for i, x in enumerate(rest)}


def adam(params, grads, m, v, step, a):
    held = [p.clone().requires_grad_() for p in params]
    betas = real(a["beta1"]), real(a["beta2"])
    optimizer = torch.optim.Adam(held, lr=real(1e-3), betas=betas, eps=real(a["epsilon"]))
    for p, g, first, second in zip(held, grads, m, v):
        p.grad = g.clone()
        optimizer.state[p] = {"step": torch.tensor(float(step)), "exp_avg": first.clone(), "exp_avg_sq": second.clone()}
    optimizer.step()
    state = [optimizer.state[p] for p in held]
    rest = held + [s["exp_avg"] for s in state] + [s["exp_avg_sq"] for s in state]
    return {"t": torch.tensor([step + 1], dtype=torch.int32)} | {f"out{1 + i}": x.detach() for i, x in enumerate(rest)}


def answer(op, attrs, operands, run, grad, g):
    """What goes in and what must come out."""
    o = {k: v.clone().requires_grad_(grad and v.is_floating_point()) for k, v in operands.items()}
    results, inputs = run(o), dict(operands)
    outputs = {k: v.detach() for k, v in results.items()}
    if grad:
        y = {k: v for k, v in results.items() if v.requires_grad}
        d = {k: normal(g, *v.shape) for k, v in y.items()}
        wrt = {k: v for k, v in o.items() if v.requires_grad}
        grads = torch.autograd.grad(list(y.values()), list(wrt.values()), list(d.values()), allow_unused=True)
        inputs |= {"d_" + k: v for k, v in d.items()}
        outputs |= {"d_" + k: torch.zeros_like(w) if v is None else v for (k, w), v in zip(wrt.items(), grads)}
    return inputs, outputs


def text_of(attrs):
    return [f"{k}={str(v).lower() if isinstance(v, bool) else v}" for k, v in attrs.items()]


def record(g, name, writer):
    tensors, lines = {}, []
    for i, (op, attrs, operands, run, grad) in enumerate(CASES):
        inputs, outputs = answer(op, attrs, operands, run, grad, g)
        tensors |= {f"{i}.in.{k}": v.float() if v.dtype == torch.double else v for k, v in inputs.items()}
        tensors |= {f"{i}.out.{k}": v for k, v in outputs.items()}
        lines.append(" ".join([str(i), op] + text_of(attrs)))
    save(name, tensors, {"cases": "\n".join(lines)}, writer)


def live(program, backend, g):
    limit = tolerance("TOLERANCE_PEER_DOUBLE" if backend == "reference64" else "TOLERANCE_FLOAT")
    worst, bad = ("", 0.0), 0
    with tempfile.TemporaryDirectory() as folder:
        a, b = f"{folder}/a.safetensors", f"{folder}/b.safetensors"
        for op, attrs, operands, run, grad in CASES:
            inputs, outputs = answer(op, attrs, operands, run, grad, g)
            save_file({k: v.contiguous().clone() for k, v in inputs.items()}, a)
            words = [w for t in text_of(attrs) for w in ("--attr", t)]
            subprocess.run([program, op, *words, "--in", a, "--out", b, "--backend", backend, "--threads", "1"]
                           + (["--grad"] if grad else []), check=True)
            got = load_file(b)
            for k, v in outputs.items():
                d = far_apart(got[k if k in got else "rest"].reshape(v.shape), v)
                if d > limit:
                    bad += 1
                    print(f"{op} {' '.join(text_of(attrs))}: {k} is {d:.3g} off")
                worst = max(worst, (f"{op} {k}", d), key=lambda w: w[1])
    print(f"{backend}: {len(CASES)} cases, {bad} results off; largest relative difference {worst[1]:.2g} ({worst[0]})")
    return bad


def main(collect, name, writer, description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--op", help="the program op: compare live instead of recording")
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--seed", type=int, default=1)
    o = parser.parse_args()
    torch.set_num_threads(1)
    g = torch.Generator().manual_seed(o.seed)
    collect(g)
    if not o.op:
        record(g, name, writer)
    elif live(o.op, o.backend, g):
        raise SystemExit(1)


if __name__ == "__main__":
    main(collect, "ops.safetensors", "ops.py", __doc__)
