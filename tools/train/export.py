"""Writes a model folder in diffusers' layout, f16, with `minkds.json` and a card filled from the runs."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from codec import Codec
from networks import read_unet, read_vae
from run import UserError
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
    "prediction_type": "v_prediction",
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


def averaged(network, run, names):
    """`network` with the averaged weights of a run's checkpoint, by the first of `names` there is, if there is a run."""
    if run is None:
        return network
    checkpoint = run / "checkpoint.pt"
    if not checkpoint.exists():
        raise UserError(f"{run} holds no checkpoint.pt: name a folder that a training command wrote.")
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)["state"]
    name = next((n for n in names if n in saved), None)
    if name is None:
        raise UserError(f"{run} trained no such network.")
    network.load_state_dict({k.removeprefix("network."): v for k, v in saved[name].items()})
    return network


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


def export(args):
    """Everything is written beside the goal first, which it then replaces."""
    unet, vae = averaged(read_unet(args.init), args.unet, ["average"]), read_vae(args.init)
    vae = averaged(vae, args.vae, ["vae average", "average"])
    partial = args.out.with_name(f".{args.out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    write_network(unet, partial / "unet")
    write_network(vae, partial / "vqvae")
    write_json(partial / "scheduler" / "scheduler_config.json", SCHEDULER)
    write_json(partial / "model_index.json", INDEX)
    settings = json.loads((args.init / "minkds.json").read_text())
    start = settings["name"]
    settings["name"] = args.name or start
    settings["preview"] = Codec.of_model(args.init).preview()
    (partial / "minkds.json").write_text(flat(settings))
    size = sum(f.stat().st_size for f in partial.rglob("*.safetensors"))
    if size > LIMIT:
        raise UserError(f"The weights take {size / 2**20:.1f} MiB in f16, more than 16: train a smaller network.")
    (partial / "README.md").write_text(card(args, settings["name"], start, unet, vae, size))
    if args.out.exists():
        shutil.rmtree(args.out)
    partial.rename(args.out)
    print(f"{args.out}: {size / 2**20:.1f} MiB")


def card(args, name, start, unet, vae, size):
    millions = lambda network: f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f}"  # noqa: E731
    facts = {
        "name": name,
        "start": start,
        "megabytes": f"{size / 1e6:.1f}",
        "unet": millions(unet),
        "vae": millions(vae),
        "unet_run": told(history(args.unet)),
        "vae_run": told(history(args.vae)),
        "data": data(history(args.unet) or history(args.vae)),
    }
    return CARD.read_text().format(**facts)


def told(run):
    """The sittings of a run in words."""
    if run is None:
        return "as in the model it started from"
    sittings = [
        f"to step {s['to']} ({s['minutes']:.0f} minutes on {s['machine']}: {s['arguments']})" for s in run["sittings"]
    ]
    return "; ".join(sittings)


def data(run):
    if run is None:
        return "as in the model it started from"
    count = sum(number for _, number in run["licences"])
    return f"{count} photographs: " + ", ".join(f"{number} {licence}" for licence, number in run["licences"])
