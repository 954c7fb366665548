"""What every training run shares: time limits, checkpoints that survive being killed, and curves."""

import copy
import csv
import json
import math
import os
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import torch

from muon import Muon


class UserError(Exception):
    """One clear message; no traceback."""


@contextmanager
def whole_file(path):
    """A temporary path beside `path` that replaces it when the block ends well, and vanishes otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    os.close(handle)
    try:
        yield Path(name)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def arguments_of(args):
    """What this sitting was told, but for folders, which are nobody's business."""
    kept = {k: v for k, v in vars(args).items() if isinstance(v, (bool, int, float, str))}
    return ", ".join(f"{k} {v}" for k, v in sorted(kept.items()) if v is not False)


def alone():
    torch.set_num_threads(1)


class Machine:
    """Where to compute: CUDA when there is one, all cores otherwise; in bfloat16 where the hardware multiplies that."""

    def __init__(self, seed):
        torch.manual_seed(seed)
        self.cuda = torch.cuda.is_available()
        self.device = torch.device("cuda" if self.cuda else "cpu")
        cores = f"{os.cpu_count()} cores"
        self.name = torch.cuda.get_device_name() if self.cuda else cores
        # On a processor with instructions for it twice as fast as float32; on others ten times slower (measured).
        able = torch.cpu.get_capabilities()
        self.bfloat16 = self.cuda or bool(able.get("avx512_bf16") or able.get("amx_bf16"))
        self.workers = min(8, os.cpu_count()) if self.cuda else 1
        # Each core with a part of the batch: a sixth faster than all sharing each operation (measured on two).
        self.parts = 1 if self.cuda else os.cpu_count()
        self.hands = ThreadPoolExecutor(self.parts, initializer=alone)
        if self.cuda:
            torch.backends.cudnn.benchmark = True
        else:
            torch.set_num_threads(os.cpu_count())

    def gradients(self, loss_of, batch, weights, chance):
        """Gradients of the mean of `loss_of(*batch, chance, common)` by `weights`, each core with a part of the batch.

        `loss_of` returns a loss and its named parts; these are returned too, as numbers. No part has fewer than two.
        `common` draws the same in all of them: what is to be done, lest one waits for the other.
        """
        count = min(self.parts, len(batch[0]) // 2)
        seeded = lambda seed: torch.Generator().manual_seed(seed)  # noqa: E731
        seeds = torch.randint(2**62, (count + 1,), generator=chance).tolist()

        def one(piece, seed):
            loss, named = loss_of(*piece, seeded(seed), seeded(seeds[-1]))
            gradients = torch.autograd.grad(loss, weights)
            return gradients, {name: value.item() for name, value in named.items()}

        pieces = list(zip(*(whole.to(self.device).tensor_split(count) for whole in batch)))
        shares = [len(piece[0]) / len(batch[0]) for piece in pieces]
        done = list((map if count == 1 else self.hands.map)(one, pieces, seeds))
        mean = lambda values: sum(share * value for share, value in zip(shares, values))  # noqa: E731
        gradients = [mean(each) for each in zip(*(gradients for gradients, _ in done))]
        return gradients, {name: mean(named[name] for _, named in done) for name in done[0][1]}

    def placed(self, network):
        """Channels last: half as fast again, on a processor too (measured on wide convolutions)."""
        return network.to(self.device, memory_format=torch.channels_last)

    def compiled(self, network):
        """On a processor compiling brings nothing (measured)."""
        return torch.compile(network) if self.cuda else network

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)


class Run:
    """A folder with `checkpoint.pt`, `curve.csv` and `curve.png`, and one sitting of training on it.

    `state` holds everything with `state_dict`, networks and averages; `weights` are what the optimizer moves; `kind`
    says what is trained, and a run goes on as what it was. A sitting ends after `minutes`, at `steps`, or at SIGTERM or
    SIGINT, and always leaves a checkpoint; one is written every few minutes, so that even SIGKILL loses no more.
    """

    SAVE_SECONDS = 180
    WARM_UP = 100
    MOST_SKIPPED = 20

    def __init__(self, args, kind, state, weights, machine, licences):
        self.folder, self.kind, self.minutes, self.last = args.run, kind, args.minutes, args.steps
        self.machine, self.optimizer = machine, Muon(weights, args.rate)
        self.state = {**state, "optimizer": self.optimizer}
        self.rate, self.anneal, self.every = args.rate, args.anneal, args.every
        self.batch, self.seed = args.batch, args.seed
        self.sittings, self.licences, self.start = [], licences, about(args.init)["name"]
        self.this = {"machine": machine.name, "arguments": arguments_of(args)}
        self.step, self.seconds, self.passed, self.stopping = 0, 0.0, 0.0, False
        self.means, self.skipped = {}, 0
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(".*.partial"):
            left.unlink()
        if self.checkpoint.exists():
            self.load()

    @property
    def checkpoint(self):
        return self.folder / "checkpoint.pt"

    def load(self):
        saved = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        if saved["kind"] != self.kind:
            raise UserError(
                f"{self.folder} was made by {saved['kind']}, this is {self.kind}: name another --run, "
                "or `export` it and start from that with --init."
            )
        for name, part in self.state.items():
            part.load_state_dict(saved["state"][name])
        self.step, self.seconds, self.means = saved["step"], saved["seconds"], saved["means"]
        self.sittings, self.start = saved["sittings"], saved["start"]
        print(f"goes on from step {self.step} of {self.folder}", flush=True)

    def save(self):
        sittings = [*self.sittings, {**self.this, "to": self.step, "minutes": self.passed / 60}]
        told = {"kind": self.kind, "start": self.start, "sittings": sittings}
        content = {**told, "step": self.step, "seconds": self.seconds, "means": self.means}
        content["state"] = {name: part.state_dict() for name, part in self.state.items()}
        with whole_file(self.checkpoint) as partial:
            torch.save(content, partial)
        with whole_file(self.folder / "run.json") as partial:
            partial.write_text(json.dumps({**told, "licences": self.licences}, indent=2) + "\n")

    def learning_rate(self, done):
        """A short rise at the start; with `anneal` down to nothing along half a cosine within the sitting."""
        rise = min(1.0, (self.step + 1) / self.WARM_UP)
        fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, done)) if self.anneal else 1.0
        return self.rate * rise * fall

    def sitting(self):
        """Yields before each step a generator for its chance."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: setattr(self, "stopping", True))
        first, start, before = self.step, time.monotonic(), self.seconds
        saved = start
        while not self.stopping:
            self.passed = time.monotonic() - start
            self.seconds = before + self.passed
            done = self.passed / 60 / self.minutes
            if self.last:
                done = max(done, (self.step - first) / max(1, self.last - first))
            if done >= 1:
                break
            for group in self.optimizer.param_groups:
                group["lr"] = self.learning_rate(done)
            yield torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
            self.step += 1
            if time.monotonic() - saved > self.SAVE_SECONDS:
                self.save()
                saved = time.monotonic()
        self.save()
        print(f"{'stopped' if self.stopping else 'done'} at step {self.step}", flush=True)

    def learn(self, crops, loss_of, averages, judged):
        """A sitting on `crops`: descends by `loss_of`, as `Machine.gradients` takes it; `averages` are pairs of an
        average and the network that it follows; `judged()` is what else the curves show."""
        with closing(crops.batches(self.batch, self.step, self.machine.workers)) as batches:
            for chance in self.sitting():
                self.descend(loss_of, next(batches), chance)
                for average, network in averages:
                    average.update(network)
                if self.is_due:
                    self.log(judged())

    def descend(self, loss_of, batch, chance):
        """One step of the optimizer, unless the gradient is not finite; the loss's parts are averaged for curves."""
        weights = [p for group in self.optimizer.param_groups for p in group["params"]]
        gradients, parts = self.machine.gradients(loss_of, batch, weights, chance)
        for weight, gradient in zip(weights, gradients):
            weight.grad = gradient
        if not torch.nn.utils.clip_grad_norm_(weights, 1.0).isfinite():
            self.skipped += 1
            if self.skipped >= self.MOST_SKIPPED:
                raise UserError(f"{self.skipped} gradients in a row are not finite: lower --rate.")
            return
        self.skipped = 0
        self.optimizer.step()
        for name, value in parts.items():
            self.means[name] = 0.98 * self.means.get(name, value) + 0.02 * value

    @property
    def is_due(self):
        return self.step % self.every == 0

    def log(self, judged):
        """One line to the screen and to the curves: the smoothed losses, and what `judged` holds."""
        row = {"step": self.step, "seconds": round(self.seconds), **self.means, **judged}
        print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
        file = self.folder / "curve.csv"
        # A killed run has said what it now says again.
        known = [r for r in rows_of(file) if int(r["step"]) < self.step]
        known.append({k: f"{v:.6g}" for k, v in row.items()})
        names = list(dict.fromkeys(name for r in known for name in r))
        with whole_file(file) as partial, open(partial, "w", newline="") as out:
            writer = csv.DictWriter(out, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(known)
        draw(known, self.folder / "curve.png")


def about(model):
    """What a model folder's minkds.json says: name, settings, and the codec as `preview`."""
    try:
        return json.loads((model / "minkds.json").read_text())
    except (OSError, ValueError):
        raise UserError(f"{model} holds no minkds.json that can be read: name a model folder.") from None


def rows_of(file):
    if not file.exists():
        return []
    with open(file, newline="") as lines:
        return list(csv.DictReader(lines))


def draw(rows, out):
    """One small panel for each column, over the steps."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [name for name in dict.fromkeys(n for r in rows for n in r) if name not in ("step", "seconds")]
    figure, panels = plt.subplots(1, len(names), figsize=(3.2 * len(names), 2.6), squeeze=False)
    for panel, name in zip(panels[0], names):
        points = [(int(r["step"]), float(r[name])) for r in rows if r.get(name)]
        panel.plot(*zip(*points), linewidth=1)
        panel.set_title(name, fontsize=9)
        panel.tick_params(labelsize=7)
    figure.tight_layout()
    with whole_file(out) as partial:
        figure.savefig(partial, format="png", dpi=90)
    plt.close(figure)


class Average(torch.nn.Module):
    """An exponential moving average of a network: what is shipped. At first it follows quickly."""

    def __init__(self, network, decay):
        super().__init__()
        self.network, self.decay = copy.deepcopy(network).requires_grad_(False), decay
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, other):
        self.updates += 1
        decay = min(self.decay, float(1 + self.updates) / float(10 + self.updates))
        for mine, new in zip(self.network.parameters(), other.parameters()):
            mine.lerp_(new, 1 - decay)
