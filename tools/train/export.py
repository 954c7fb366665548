"""Writes a model folder in diffusers' layout, f16, with `minkds.json` and a card filled from the runs."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import UNet2DModel
from safetensors.torch import save_file

from networks import read_unet, read_vae
from run import UserError, about
from sampler import BETA_END, BETA_START, TRAIN_STEPS

LIMIT = 16 * 2**20
CARD = Path(__file__).with_name("card.md")
SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "beta_start": BETA_START,
    "beta_end": BETA_END,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "num_train_timesteps": TRAIN_STEPS,
    "prediction_type": "sample",
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "timestep_spacing": "trailing",
}
INDEX = {
    "_class_name": "LDMSuperResolutionPipeline",
    "scheduler": ["diffusers", "DDIMScheduler"],
    "unet": ["diffusers", "UNet2DModel"],
    "vqvae": ["diffusers", "AutoencoderKL"],
}


def states(run):
    """What a run's checkpoint holds; nothing if there is no run."""
    if run is None:
        return {}
    checkpoint = run / "checkpoint.pt"
    if not checkpoint.exists():
        raise UserError(f"{run} holds no checkpoint.pt: name a folder that a training command wrote.")
    return torch.load(checkpoint, map_location="cpu", weights_only=True)["state"]


def load_average(network, saved):
    """Gives `network` the averaged weights of a checkpoint."""
    prefix = "network."
    network.load_state_dict({k.removeprefix(prefix): v for k, v in saved.items() if k.startswith(prefix)})


def unet_of(run):
    """A UNet like that of a run, whose weights are not in it yet."""
    return UNet2DModel.from_config(UNet2DModel.load_config(run / "unet"))


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


def write_network(network, folder):
    network.save_config(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("_name_or_path", None)
    write_json(folder / "config.json", config)
    weights = {name: w.to(torch.float16).contiguous() for name, w in network.state_dict().items()}
    if not all(w.isfinite().all() for w in weights.values()):
        raise UserError(f"{folder.name}: weights that f16 cannot hold; the training has diverged.")
    save_file(weights, folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})


def flat(content):
    """JSON with lists of numbers on one line each."""
    text = json.dumps(content, indent=2)
    parts = text.split("[")
    for i, part in enumerate(parts[1:], 1):
        inside, closing, rest = part.partition("]")
        if closing and "{" not in inside and '"' not in inside:
            parts[i] = " ".join(inside.split()) + closing + rest
    return "[".join(parts) + "\n"


def history(run):
    """The sittings of a run, as its `run.json` tells them."""
    return json.loads((run / "run.json").read_text()) if run else None


def keep(networks, before, share):
    """Moves the weights of `networks` by `share` of the way to those of the same networks `before`."""
    for name, network in networks.items():
        mine, other = network.state_dict(), before[name].state_dict()
        if {key: w.shape for key, w in mine.items()} != {key: w.shape for key, w in other.items()}:
            raise UserError(f"--keep: the {name} of --init is another network, so the two have no mean.")
        network.load_state_dict({key: w.lerp(other[key], share) for key, w in mine.items()})


def export(args):
    """Everything is written beside the goal first, which it then replaces."""
    out = args.out.resolve()
    if out.exists() and not (out / "minkds.json").exists():
        raise UserError(f"{args.out} is there already and no model folder: name another --out.")
    runs = {"unet": args.unet, "vae": args.vae or args.unet}
    found = {name: states(run).get(f"{name} average") for name, run in runs.items()}
    for name, run in (("unet", args.unet), ("vae", args.vae)):
        if run and found[name] is None:
            raise UserError(f"{run} did not train the {name}.")
    networks = {"unet": unet_of(args.unet) if args.unet else read_unet(args.init), "vae": read_vae(args.init)}
    for name, saved in found.items():
        if saved is not None:
            load_average(networks[name], saved)
    if args.keep:
        keep(networks, {"unet": read_unet(args.init), "vae": read_vae(args.init)}, args.keep)
    told = {name: run if found[name] is not None else None for name, run in runs.items()}
    partial = out.with_name(f".{out.name}.partial")
    try:
        write(args, partial, networks, told)
        old = out.with_name(f".{out.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if out.exists():
            out.rename(old)
        partial.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    print(f"{args.out}: {size_of(out) / 2**20:.1f} MiB")


def write(args, folder, networks, runs):
    """The whole model folder."""
    shutil.rmtree(folder, ignore_errors=True)
    write_network(networks["unet"], folder / "unet")
    write_network(networks["vae"], folder / "vqvae")
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    write_json(folder / "model_index.json", INDEX)
    settings = about(args.init)
    settings["name"] = args.name or settings["name"]
    (folder / "minkds.json").write_text(flat(settings))
    size = size_of(folder)
    if size > LIMIT:
        raise UserError(f"The weights take {size / 2**20:.1f} MiB in f16, more than 16: train a smaller network.")
    (folder / "README.md").write_text(card(settings["name"], networks, runs, size, args))


def size_of(folder):
    """The weights' bytes."""
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))


def card(name, networks, runs, size, args):
    millions = lambda network: f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f}"  # noqa: E731
    histories = {part: history(run) for part, run in runs.items()}
    first = histories["unet"] or histories["vae"]
    facts = {
        "name": name,
        "start": first["start"] if first else about(args.init)["name"],
        "megabytes": f"{size / 1e6:.1f}",
        "unet": millions(networks["unet"]),
        "vae": millions(networks["vae"]),
        "unet_run": told(histories["unet"]),
        "vae_run": "together with the UNet" if runs["vae"] == runs["unet"] and first else told(histories["vae"]),
        "data": data(first),
        "mean": f"; {args.keep:g} of the weights are those of {about(args.init)['name']}" if args.keep else "",
    }
    return CARD.read_text().format(**facts)


def told(run):
    """The sittings of a run in words."""
    if run is None:
        return "as in the model it started from"
    sittings = [
        f"to step {s['to']} ({s['minutes']:.0f} minutes on {s['machine']}: {s['arguments']})" for s in run["sittings"]
    ]
    return f"{run['kind']}: " + "; ".join(sittings)


def data(run):
    if run is None:
        return "as in the model it started from"
    count = sum(number for _, number in run["licences"])
    return f"{count} photographs: " + ", ".join(f"{number} {licence}" for licence, number in run["licences"])
