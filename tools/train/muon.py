"""Muon (Jordan et al., 2024), with the scale of Liu et al., 2025: rates are AdamW's.

A step of a matrix, here of a convolution's kernel as [out, in x 3 x 3], is its momentum with all singular values made
about one. On this UNet half the steps of AdamW lead as far. Vectors (biases, norms) move as with Adam.
"""

import torch


def orthogonal(matrices):
    """[N, rows, columns] with singular values near 1, by Newton and Schulz, the coefficients being Muon's own.

    The rounds are gone through on the small square of each matrix, which holds all that they need.
    """
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    x = wide / (wide.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    square, all_rounds = x @ x.mT, torch.eye(x.shape[1], device=x.device, dtype=x.dtype)
    for _ in range(5):
        one = torch.baddbmm(-4.7750 * square, square, square, alpha=2.0315)
        one.diagonal(dim1=1, dim2=2).add_(3.4445)
        square, all_rounds = one @ square @ one, one @ all_rounds
    x = all_rounds @ x
    return x if wide is matrices else x.mT


class Muon(torch.optim.Optimizer):
    def __init__(self, weights, lr, momentum=0.95, betas=(0.9, 0.99), weight_decay=1e-4):
        kinds = {True: [], False: []}
        for weight in weights:
            kinds[weight.ndim >= 2].append(weight)
        groups = [{"params": kept, "matrices": kind} for kind, kept in kinds.items() if kept]
        super().__init__(groups, {"lr": lr, "momentum": momentum, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            weights = [w for w in group["params"] if w.grad is not None]
            (self.step_matrices if group["matrices"] else self.step_vectors)(group, weights)

    def step_matrices(self, group, weights):
        """Matrices of one shape together: many small products are slow one by one."""
        alike = {}
        for weight in weights:
            state = self.state[weight]
            if not state:
                state["momentum"] = torch.zeros_like(weight)
            momentum = state["momentum"]
            momentum.lerp_(weight.grad, 1 - group["momentum"])
            ahead = weight.grad.lerp(momentum, group["momentum"]).flatten(1)
            alike.setdefault(ahead.shape, []).append((weight, ahead))
        for shape, members in alike.items():
            moves = orthogonal(torch.stack([ahead for _, ahead in members]))
            for (weight, _), move in zip(members, moves):
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(move.reshape(weight.shape), alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)

    def step_vectors(self, group, weights):
        first, second = group["betas"]
        for weight in weights:
            state = self.state[weight]
            if not state:
                state.update(step=0, mean=torch.zeros_like(weight), square=torch.zeros_like(weight))
            state["step"] += 1
            state["mean"].lerp_(weight.grad, 1 - first)
            state["square"].lerp_(weight.grad.square(), 1 - second)
            mean = state["mean"] / (1 - first ** state["step"])
            deviation = (state["square"] / (1 - second ** state["step"])).sqrt() + 1e-8
            weight.addcdiv_(mean, deviation, value=-group["lr"])
