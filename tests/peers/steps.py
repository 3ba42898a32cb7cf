"""PyTorch's training steps of face synthesis: equations 1 to 10 on small networks.

    python tests/peers/steps.py        writes tests/fixtures/steps.safetensors (read by 510_steps)

Needs PyTorch 2, numpy and safetensors.  Steps of kind 1 (x^a = x^s) and 2 (x^a != x^s) in turn, twice, from
    weights.A.NAME ... .D .G .I    parameters and statistics before (I is frozen)
    N.pixels, N.identity, N.noise  inputs of step N: bytes, f_I(x^s), the r of equation 2
    N.losses                       gr, kl, gd, gi, d before the step (kind 2: gr alone), without their lambdas
    N.image                        x' before the step
    after.A.NAME ...               parameters and statistics after all steps
Here every term of the losses is computed from a pass of its own, which the engine shares: D sees x^a and x' apart for
equation 6 (moving its statistics by x^a, then by x') and once more for equation 5 (not moving them).

A rectifier whose input is within a float's rounding of 0 has no one gradient: some devices would see another slope than
PyTorch in double.  So numbers are drawn from the first seed for which every rectifier keeps MARGIN away from 0.
"""
import contextlib

import torch
import torch.nn.functional as F

from fixture import normal, real, rounded, save
from networks import AttributeEncoder, Discriminator, Generator, Recogniser, draw

SIZE, WIDTH, Z, IDENTITY, BATCH = 16, 4, 8, 8, 4
LAMBDA_KL, LAMBDA_GD, LAMBDA_GI, LAMBDA_A = real(1e-4), real(5e-4), 1.0, real(0.1)
MARGIN = 4e-6   # of the largest input of the same rectifier; float differs by some 1e-6
RATE_AG, RATE_D, BETAS = real(1e-4), real(4e-4), (0.5, real(0.999))


def reconstruction(x, images):
    """Equation 4, the square averaged over pixels."""
    terms = [((F.interpolate(x, image.shape[2:], mode="area") - image) ** 2).mean() for image in images.values()]
    return sum(terms) / (2 * len(terms))


def distance(target, made):
    """Equations 1 and 5, batch mean."""
    return 0.5 * ((target - made) ** 2).sum(1).mean()


def gradients(loss, module):
    return torch.autograd.grad(loss, list(module.parameters()), retain_graph=True)


@contextlib.contextmanager
def margins():
    """The distance from 0 of every rectifier's inputs, over their largest."""
    seen, plain = [], {name: getattr(F, name) for name in ("relu", "leaky_relu")}

    def watch(rectifier):
        def watched(x, *rest, **more):
            with torch.no_grad():
                seen.append((x.abs().min() / x.abs().max()).item())
            return rectifier(x, *rest, **more)
        return watched

    for name, rectifier in plain.items():
        setattr(F, name, watch(rectifier))
    try:
        yield seen
    finally:
        for name, rectifier in plain.items():
            setattr(F, name, rectifier)


def record(seed):
    """All tensors of the fixture, and each step's line of losses."""
    g = torch.Generator().manual_seed(seed)
    lines = []
    a, d = AttributeEncoder(SIZE, WIDTH, Z), Discriminator(SIZE, WIDTH)
    gen, i = Generator(SIZE, WIDTH, IDENTITY, Z), Recogniser((1, 1, 0, 0), 4, 8, IDENTITY, small_stem=True)
    networks = {"A": a, "D": d, "G": gen, "I": i}
    for module in networks.values():
        draw(module, g)
    embed = lambda x: F.normalize(i(x, "eval"))
    out = {f"weights.{n}.{k}": v.float() for n, module in networks.items() for k, v in module.state_dict().items()}
    both = list(a.parameters()) + list(gen.parameters())
    adam_ag = torch.optim.Adam(both, lr=RATE_AG, betas=BETAS, eps=real(1e-8))
    adam_d = torch.optim.Adam(d.parameters(), lr=RATE_D, betas=BETAS, eps=real(1e-8))

    for step, kind in enumerate([1, 2, 1, 2]):
        pixels = torch.randint(256, (2, BATCH, 3, SIZE, SIZE), generator=g, dtype=torch.uint8)
        x, other = (pixels.double() / 127.5 - 1).unbind(0)
        identity = rounded(embed(x if kind == 1 else other).detach())
        noise = normal(g, BATCH, Z)
        attributes = a(x, "train")
        mean, log_variance = attributes["mean"], attributes["log_variance"]
        images = gen(identity, mean + noise * torch.exp(0.5 * log_variance), "train")
        made = images[f"image_{SIZE}"]
        gr = reconstruction(x, images)
        if kind == 1:
            kl = 0.5 * (log_variance.exp() + mean ** 2 - 1 - log_variance).sum(1).mean()
            gd = distance(d(x, "keep")["feature"].detach(), d(made, "keep")["feature"])
            gi = distance(identity, embed(made))
            one, zero = torch.ones(BATCH, 1).double(), torch.zeros(BATCH, 1).double()
            loss_d = (F.binary_cross_entropy_with_logits(d(x, "train")["logit"], one)
                      + F.binary_cross_entropy_with_logits(d(made.detach(), "train")["logit"], zero))
            losses = [gr, kl, gd, gi, loss_d]
            grads = gradients(gr + LAMBDA_KL * kl, a) + gradients(gr + LAMBDA_GD * gd + LAMBDA_GI * gi, gen)
            grads_d = gradients(loss_d, d)
        else:
            losses = [gr]
            grads = gradients(LAMBDA_A * gr, a) + gradients(LAMBDA_A * gr, gen)
        for p, grad in zip(both, grads):
            p.grad = grad
        adam_ag.step()
        if kind == 1:
            for p, grad in zip(d.parameters(), grads_d):
                p.grad = grad
            adam_d.step()
        out |= {f"{step}.pixels": pixels[0], f"{step}.identity": identity.float(), f"{step}.noise": noise.float(),
                f"{step}.losses": torch.stack(losses), f"{step}.image": made.float()}
        lines.append(f"step {step} of kind {kind}: " + " ".join(f"{v.item():.6f}" for v in losses))

    out |= {f"after.{n}.{k}": v.float() for n in "ADG" for k, v in networks[n].state_dict().items()}
    return out, lines


def main():
    torch.set_num_threads(1)
    for seed in range(1, 2000):
        with margins() as seen:
            out, lines = record(seed)
        if min(seen) >= MARGIN:
            break
    else:
        raise SystemExit(f"steps.py: no seed keeps every rectifier {MARGIN} away from 0")
    print(f"seed {seed}: rectifiers at least {min(seen):.1e} away from 0", *lines, sep="\n")
    save("steps.safetensors", out, {"steps": "1 2 1 2", "seed": str(seed)}, "steps.py")


if __name__ == "__main__":
    main()
