"""Writes the reference data in tests/fixtures that the Rust tests compare with.

    python -m venv venv && venv/bin/pip install -r tools/requirements.txt
    venv/bin/python tools/fixtures.py                  # everything
    venv/bin/python tools/fixtures.py kds images       # some parts only

The references are diffusers' own classes where diffusers has the thing, and plain formulas written here where it has
not (mean shift, selection, the steered step). Everything random is seeded and everything a test needs to repeat a run,
noise included, is stored, so a comparison involves no generator. Arrays are f32 unless a part says otherwise.
tests/fixtures/README.md lists what each file holds.
"""

import argparse
import json
import logging
import os
import re
import shutil
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import tifffile
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DPMSolverMultistepScheduler, UNet2DModel, VQModel

# Imported from its file: the package only exports it where `transformers` is installed, which it does not use.
from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion_superresolution import LDMSuperResolutionPipeline
from PIL import Image, ImageOps
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "tests" / "fixtures"

# One thread: the order of a sum, and so its last bit, does not depend on the machine's number of cores.
torch.set_num_threads(1)
torch.set_grad_enabled(False)


# Helpers ---------------------------------------------------------------------------------------------------------


def rng(name):
    """A generator of its own for every fixture, so that adding one changes no other."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def normal(generator, *shape):
    return torch.from_numpy(generator.standard_normal(shape).astype(np.float32))


def seeded_until(name, make, good):
    """The first of name-0, name-1, ... whose result is `good`: where a near-tie would let rounding decide a test."""
    for seed in range(1000):
        result = make(rng(f"{name}-{seed}"))
        if good(result):
            return result
    raise RuntimeError(f"{name}: no suitable seed")


def numbers(values):
    """f32 values as the shortest decimals that read back as the same f32."""
    out = [float(str(v)) for v in np.asarray(values, np.float32).ravel()]
    assert np.array_equal(np.float32(out), np.asarray(values, np.float32).ravel(), equal_nan=True)
    return out


def write_json(path, data):
    """One list element a line: small, and a change shows up as a change of that line."""
    compact = lambda v: json.dumps(v, separators=(",", ":"), allow_nan=False)
    sections = [f'"{key}":[\n' + ",\n".join(map(compact, items)) + "\n]" for key, items in data.items()]
    path.write_text("{\n" + ",\n".join(sections) + "\n}\n")


def write_tensors(path, tensors):
    save_file({k: v.detach().float().contiguous().clone() for k, v in tensors.items()}, path)


# A. Schedulers ---------------------------------------------------------------------------------------------------

DDIM = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.0015,
    "beta_end": 0.0155,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "prediction_type": "epsilon",
    "timestep_spacing": "leading",
}
LINEAR = {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02}
COSINE = {"beta_schedule": "squaredcos_cap_v2"}
PREDICTIONS = ("epsilon", "v_prediction", "sample")
SPACINGS = ("leading", "trailing", "linspace")
SCHEDULES = ({}, LINEAR, COSINE)


def dpm_scheduler(ddim_config, kind=DPMSolverMultistepScheduler):
    """DPM-Solver++ 2M from a DDIM checkpoint's config, the way diffusers users switch samplers."""
    return kind.from_config(
        ddim_config,
        algorithm_type="dpmsolver++",
        solver_order=2,
        solver_type="midpoint",
        lower_order_final=True,
        final_sigmas_type="zero",
    )


def scheduler_case(name, solver, config, steps, eta=0.0):
    """Runs a scheduler on made-up model outputs: every step() shows x0 and the next sample."""
    g = rng(name)
    scheduler = DDIMScheduler.from_config(config) if solver == "ddim" else dpm_scheduler(config)
    scheduler.set_timesteps(steps)
    sample = normal(g, 1, 1, 2, 3)
    case = {
        "name": name,
        "scheduler_class": type(scheduler).__name__,
        "config": config,
        "num_inference_steps": steps,
        "eta": eta,
        "timesteps": scheduler.timesteps.tolist(),
        "alphas_cumprod": numbers(scheduler.alphas_cumprod[scheduler.timesteps]),
        "sample0": numbers(sample),
        "model_outputs": [],
        "noises": [],
        "pred_x0": [],
        "samples": [],
    }
    if solver == "dpm":
        case["sigmas"] = numbers(scheduler.sigmas)
    assert len(scheduler.timesteps) == steps, name
    for t in scheduler.timesteps:
        output = normal(g, *sample.shape)
        case["model_outputs"].append(numbers(output))
        if solver == "ddim":
            noise = normal(g, *sample.shape) if eta > 0 else None
            if noise is not None:
                case["noises"].append(numbers(noise))
            result = scheduler.step(output, t, sample, eta=eta, variance_noise=noise)
            sample, x0 = result.prev_sample, result.pred_original_sample
        else:
            sample = scheduler.step(output, t, sample).prev_sample
            x0 = scheduler.model_outputs[-1]
        case["pred_x0"].append(numbers(x0))
        case["samples"].append(numbers(sample))
    return case


def minkds_case(name, config, steps):
    """DDIM as minKDS runs it: no noise, no clipping, and a last step to timestep 0, not to a clean image."""
    g = rng(name)
    scheduler = DDIMScheduler.from_config(config)
    scheduler.set_timesteps(steps)
    alphas_cumprod = scheduler.alphas_cumprod.numpy()
    timesteps = scheduler.timesteps.numpy()
    previous = np.maximum(timesteps - len(alphas_cumprod) // steps, 0)
    x = normal(g, 6).numpy()
    case = {
        "name": name,
        "config": config,
        "num_inference_steps": steps,
        "timesteps": timesteps.tolist(),
        "previous_timesteps": previous.tolist(),
        "alphas_cumprod": numbers(alphas_cumprod[timesteps]),
        "previous_alphas_cumprod": numbers(alphas_cumprod[previous]),
        "sample0": numbers(x),
        "model_outputs": [],
        "pred_x0": [],
        "samples": [],
    }
    for t, p in zip(timesteps, previous):
        output = normal(g, 6).numpy()
        alpha, sigma = np.sqrt(alphas_cumprod[t]), np.sqrt(1 - alphas_cumprod[t])
        if config["prediction_type"] == "epsilon":
            x0, eps = (x - sigma * output) / alpha, output
        elif config["prediction_type"] == "v_prediction":
            x0, eps = alpha * x - sigma * output, alpha * output + sigma * x
        x = np.sqrt(alphas_cumprod[p]) * x0 + np.sqrt(1 - alphas_cumprod[p]) * eps
        for key, value in (("model_outputs", output), ("pred_x0", x0), ("samples", x)):
            case[key].append(numbers(value))
    return case


def schedulers(out, args):
    cases = []
    add = lambda name, solver, steps, eta=0.0, **config: cases.append(
        scheduler_case(name, solver, {**DDIM, **config}, steps, eta)
    )
    # Every prediction type with every spacing; the noise schedules and step counts rotate through them.
    for solver, counts in (("ddim", (7, 20, 33)), ("dpm", (7, 14, 20))):
        for i, prediction in enumerate(PREDICTIONS):
            for j, spacing in enumerate(SPACINGS):
                add(
                    f"{solver}-{prediction}-{spacing}",
                    solver,
                    counts[(i + j) % 3],
                    prediction_type=prediction,
                    timestep_spacing=spacing,
                    **SCHEDULES[(i + 2 * j) % 3],
                )
    # Step counts, also those where DDIM's `trailing` lands on a half (16, 32: rounded to even), and the longest run
    # there is. DDIM's last step goes to `alphas_cumprod[t - T // steps]` unless that is negative: with `trailing` and
    # 15 steps it is 0, and the sampler ends at alphas_cumprod[0] although set_alpha_to_one is true.
    for spacing in SPACINGS:
        for steps in (1, 2):
            add(f"ddim-{spacing}-{steps}", "ddim", steps, timestep_spacing=spacing)
        add(f"ddim-{spacing}-all-20", "ddim", 20, timestep_spacing=spacing, num_train_timesteps=20, **LINEAR)
    for steps in (15, 16, 32, 50):
        add(f"ddim-trailing-{steps}", "ddim", steps, timestep_spacing="trailing", prediction_type="v_prediction")
    add("ddim-leading-50", "ddim", 50)
    for spacing in SPACINGS:
        for steps in (1, 2, 3):
            add(f"dpm-{spacing}-{steps}", "dpm", steps, timestep_spacing=spacing)
    for steps in (14, 15, 16):
        add(f"dpm-trailing-{steps}", "dpm", steps, timestep_spacing="trailing", prediction_type="v_prediction")
    # Offset and the end of the schedule.
    for offset in (0, 1):
        for one in (True, False):
            add(f"ddim-offset-{offset}-one-{one}".lower(), "ddim", 7, steps_offset=offset, set_alpha_to_one=one)
    add("ddim-trailing-one-false", "ddim", 4, timestep_spacing="trailing", set_alpha_to_one=False)
    add("dpm-offset-1", "dpm", 7, steps_offset=1)
    # Clipping x0 leaves the predicted noise as it was (use_clipped_model_output is false). DPM-Solver++ never clips.
    for prediction in PREDICTIONS:
        add(f"ddim-clip-{prediction}", "ddim", 7, prediction_type=prediction, clip_sample=True, clip_sample_range=1.0)
        add(f"dpm-clip-{prediction}", "dpm", 3, prediction_type=prediction, clip_sample=True, clip_sample_range=1.0)
    add("ddim-clip-0.6", "ddim", 7, clip_sample=True, clip_sample_range=0.6)
    add("ddim-clip-eta", "ddim", 7, 0.5, clip_sample=True)
    # Dynamic thresholding: for a reader that supports it; otherwise the config is refused.
    add("ddim-thresholding", "ddim", 7, thresholding=True, sample_max_value=1.5, clip_sample=True)
    add("dpm-thresholding", "dpm", 7, thresholding=True, sample_max_value=1.5)
    # Noise.
    for eta in (0.5, 1.0):
        for prediction in PREDICTIONS:
            add(f"ddim-eta-{eta}-{prediction}", "ddim", 7, eta, prediction_type=prediction)
        add(f"ddim-eta-{eta}-trailing-15", "ddim", 15, eta, timestep_spacing="trailing", **LINEAR)
    add("ddim-eta-1-one-step", "ddim", 1, 1.0)
    # Other ways to state the betas, likewise for a reader that supports them.
    betas = [round(0.01 + 0.01 * i, 2) for i in range(20)]
    add("ddim-trained-betas", "ddim", 5, num_train_timesteps=20, trained_betas=betas)
    zero_snr = {"prediction_type": "v_prediction", "timestep_spacing": "trailing", "rescale_betas_zero_snr": True}
    add("ddim-zero-snr", "ddim", 5, **zero_snr)
    add("dpm-zero-snr", "dpm", 5, **zero_snr)
    # Keys that a config leaves out take the default of the scheduler that runs, not of the one that the config names:
    # `timestep_spacing` is "leading" in DDIM and "linspace" in DPM-Solver++. Old checkpoints leave it out.
    bare = {"_class_name": "DDIMScheduler"}
    old = {k: DDIM[k] for k in ("_class_name", "num_train_timesteps", "beta_start", "beta_end", "beta_schedule")}
    old |= {"clip_sample": False, "trained_betas": None}
    for solver in ("ddim", "dpm"):
        cases.append(scheduler_case(f"{solver}-all-defaults", solver, bare, 7))
        cases.append(scheduler_case(f"{solver}-old-config", solver, old, 7))

    minkds = [
        minkds_case(f"minkds-{prediction}-{spacing}-{steps}", DDIM | over, steps)
        for prediction, spacing, steps in (
            ("epsilon", "leading", 1),
            ("epsilon", "leading", 7),
            ("epsilon", "leading", 20),
            ("epsilon", "trailing", 33),
            ("epsilon", "linspace", 7),
            ("v_prediction", "trailing", 15),
            ("v_prediction", "trailing", 20),
        )
        for over in [{"prediction_type": prediction, "timestep_spacing": spacing, "clip_sample": True}]
    ]
    write_json(out / "schedulers.json", {"cases": cases, "minkds_steps": minkds})


# B. Kernel density steering ---------------------------------------------------------------------------------------


def mean_shift(particles, patch_size, bandwidth, kernel):
    """Steps 2 to 4 of the method in f64, patch by patch, with every pairwise difference written out. [N, C, H, W]"""
    x = np.asarray(particles, np.float64)
    n, _, height, width = x.shape
    shift = np.empty_like(x)
    two_h2 = 2 * bandwidth ** {"gaussian": 2, "minkds": 4}[kernel]
    for top in range(0, height, patch_size):
        for left in range(0, width, patch_size):
            window = np.s_[:, :, top : top + patch_size, left : left + patch_size]
            patch = x[window].reshape(n, -1)
            distance2 = ((patch[:, None] - patch[None]) ** 2).sum(-1)
            weight = np.exp(-distance2 / two_h2)
            mean = weight @ patch / weight.sum(1, keepdims=True)
            shift[window] = (mean - patch).reshape(x[window].shape)
    return torch.from_numpy(shift.astype(np.float32))


def selection_scores(latents):
    """What `nearest-mean` and `lowest-variance` minimise, one value a particle."""
    x = np.asarray(latents, np.float64).reshape(len(latents), -1)
    return {"nearest-mean": np.linalg.norm(x - x.mean(0), axis=1), "lowest-variance": x.var(1)}


def select(latents, rule):
    """Index of the chosen particle. The runner-up must be clearly worse, so that rounding cannot change the answer."""
    if rule == "first" or len(latents) == 1:
        return 0
    scores = selection_scores(latents)[rule]
    first, second = np.sort(scores)[:2]
    assert second > first * (1 + 1e-4), (rule, scores)
    return int(scores.argmin())


def kds(out, args):
    # name: N, C, H, W, scale of the values. Particles share a base and differ by noise of unequal strength; where there
    # are four or more, the last repeats the first, so that a distance is exactly 0.
    inputs = {
        "n1": (1, 3, 5, 7, 1.0),
        "n2": (2, 3, 13, 9, 1.0),
        "n3": (3, 8, 5, 7, 1.0),
        "n4": (4, 8, 16, 16, 1.0),
        "n4-large": (4, 3, 13, 9, 1e3),
        "n10": (10, 3, 33, 17, 1.0),
        "n16": (16, 3, 13, 9, 1.0),
        "n64": (64, 3, 5, 7, 1.0),
    }
    # input, patch size, kernel, bandwidth in units of the typical distance between patches: 1 weighs neighbours
    # visibly, 0.01 leaves only the patch itself, 1000 makes all weights equal.
    cases = [
        ("n1", 4, "gaussian", 1),
        ("n2", 1, "gaussian", 1),
        ("n2", 3, "minkds", 1),
        ("n2", 128, "gaussian", 0.5),
        ("n3", 2, "gaussian", 1),
        ("n3", 4, "minkds", 0.7),
        ("n3", 16, "gaussian", 1),
        ("n4", 1, "minkds", 1),
        ("n4", 2, "gaussian", 0.7),
        ("n4", 4, "gaussian", 0.01),
        ("n4", 4, "gaussian", 1),
        ("n4", 4, "gaussian", 1000),
        ("n4", 4, "minkds", 1000),
        ("n4", 16, "gaussian", 1),
        ("n4-large", 1, "gaussian", 1),
        ("n4-large", 3, "gaussian", 0.01),
        ("n4-large", 8, "gaussian", 0.7),
        ("n4-large", 4, "minkds", 1),
        ("n10", 8, "gaussian", 1),
        ("n10", 2, "minkds", 1),
        ("n10", 16, "gaussian", 0.5),
        ("n16", 3, "gaussian", 0.7),
        ("n16", 2, "gaussian", 1000),
        ("n16", 8, "minkds", 1),
        ("n64", 1, "gaussian", 0.7),
        ("n64", 4, "gaussian", 1),
        ("n64", 128, "minkds", 1),
    ]
    tensors, shifts, selections = {}, [], []
    for name, (n, c, h, w, scale) in inputs.items():
        g = rng(f"kds-{name}")
        strength = torch.linspace(0.3, 1.0, n).view(n, 1, 1, 1)
        x = scale * (normal(g, 1, c, h, w) + strength * normal(g, n, c, h, w))
        if n >= 4:
            x[-1] = x[0]
        tensors[f"{name}.x"] = x
    for name, p, kernel, relative in cases:
        n, c, h, w, scale = inputs[name]
        typical = relative * scale * (c * min(p, h) * min(p, w)) ** 0.5
        # The minKDS kernel divides by h^4 where the paper's divides by h^2: the same effect needs the root.
        bandwidth = float(f"{typical if kernel == 'gaussian' else typical**0.5:.3g}")
        key = f"{name}.{kernel}-p{p}-h{bandwidth:g}.m"
        tensors[key] = mean_shift(tensors[f"{name}.x"], p, bandwidth, kernel)
        case = {"x": f"{name}.x", "m": key, "patch_size": p, "bandwidth": bandwidth, "kernel": kernel}
        shifts.append(case)
    # From three particles on: two are always equally far from their mean, and only rounding would decide.
    for name, shape in (("s3", (3, 3, 4, 5)), ("s4", (4, 8, 6, 5)), ("s10", (10, 3, 7, 9)), ("s64", (64, 3, 4, 3))):
        key = f"{name}.x"

        # An offset of its own for every particle keeps its variance and its distance from the mean unrelated; the two
        # rules must disagree, so that one cannot pass for the other.
        def make(g):
            x = normal(g, *shape) + 0.7 * normal(g, shape[0], 1, 1, 1)
            return x, [select(x, rule) for rule in ("nearest-mean", "lowest-variance")]

        tensors[key], (nearest, lowest) = seeded_until(f"select-{name}", make, lambda made: len({0, *made[1]}) == 3)
        selections.append({"x": key, "nearest_mean": nearest, "lowest_variance": lowest})
    write_tensors(out / "kds.safetensors", tensors)
    write_json(out / "kds.json", {"mean_shift": shifts, "selection": selections})


# C. Tiny models ---------------------------------------------------------------------------------------------------


# Wide enough that the latents of the tiny models, which are no better denoisers than chance, spread over many codes.
CODEBOOK_SCALE = 5.0


def randomise(model, name):
    """Random values for every parameter, norms and biases included, so that none is trivially 0 or 1."""
    g = rng(name)
    for key, parameter in model.named_parameters():
        noise = normal(g, *parameter.shape)
        if "embedding.weight" in key:
            value = CODEBOOK_SCALE * noise
        elif parameter.ndim == 1:
            value = 0.2 * noise + ("norm" in key and key.endswith("weight"))
        else:
            value = noise / parameter[0].numel() ** 0.5
        parameter.copy_(value)
    return model.eval()


def unet(name, channels=(4, 8, 16), **config):
    levels = len(channels)
    defaults = {
        "sample_size": 16,
        "block_out_channels": channels,
        "down_block_types": ("DownBlock2D",) * levels,
        "up_block_types": ("UpBlock2D",) * levels,
        "norm_num_groups": 2,
    }
    return randomise(UNet2DModel(**defaults | config), f"{name}-unet")


def autoencoder(kind, name, channels=(4, 4, 8), **config):
    levels = len(channels)
    defaults = {
        "sample_size": 64,
        "block_out_channels": channels,
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "norm_num_groups": 2,
    }
    return randomise(kind(**defaults | config), f"{name}-vqvae")


def tiny_models():
    """name -> (unet, autoencoder, scheduler config). See tests/fixtures/README.md for what each covers."""
    ldm = {"down_block_types": ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D")}
    ldm |= {"up_block_types": ("AttnUpBlock2D", "UpBlock2D", "UpBlock2D")}
    attention_everywhere = {"down_block_types": ("AttnDownBlock2D",) * 2, "up_block_types": ("AttnUpBlock2D",) * 2}
    velocity = {"prediction_type": "v_prediction"}
    return {
        "ldm-like": (
            unet("ldm-like", in_channels=6, out_channels=3, attention_head_dim=8, **ldm),
            autoencoder(VQModel, "ldm-like", layers_per_block=2, num_vq_embeddings=64),
            DDIM,
        ),
        "half-bin": (
            unet("half-bin", (4, 4), in_channels=6, out_channels=3, layers_per_block=1, attention_head_dim=2),
            autoencoder(VQModel, "half-bin", (4, 4), num_vq_embeddings=16),
            DDIM,
        ),
        "scale-shift": (
            unet(
                "scale-shift",
                in_channels=7,
                out_channels=4,
                layers_per_block=1,
                norm_num_groups=4,
                norm_eps=1e-6,
                attention_head_dim=None,
                add_attention=False,
                resnet_time_scale_shift="scale_shift",
                flip_sin_to_cos=False,
                freq_shift=1,
                mid_block_scale_factor=1.5,
                downsample_padding=0,
                num_class_embeds=2,
                **ldm,
            ),
            autoencoder(
                AutoencoderKL,
                "scale-shift",
                latent_channels=4,
                scaling_factor=0.18215,
                shift_factor=0.1,
                use_quant_conv=False,
                use_post_quant_conv=False,
            ),
            DDIM | velocity | {"set_alpha_to_one": False, "steps_offset": 1},
        ),
        "kl-like-bundled": (
            unet("kl-like-bundled", (4, 4, 8), in_channels=11, out_channels=8, add_attention=False),
            autoencoder(
                AutoencoderKL,
                "kl-like-bundled",
                latent_channels=8,
                scaling_factor=1.0,
                mid_block_add_attention=False,
            ),
            DDIM | velocity | {"timestep_spacing": "trailing"},
        ),
        "lookup": (
            unet(
                "lookup",
                (4, 8),
                in_channels=5,
                out_channels=2,
                layers_per_block=1,
                attention_head_dim=4,
                attn_norm_num_groups=4,
                downsample_type="conv",
                upsample_type="conv",
                **attention_everywhere,
            ),
            autoencoder(
                VQModel,
                "lookup",
                (4, 8),
                latent_channels=4,
                vq_embed_dim=2,
                num_vq_embeddings=32,
                lookup_from_codebook=True,
            ),
            DDIM | {"prediction_type": "sample", "num_train_timesteps": 100},
        ),
        "resnet-sampling": (
            unet(
                "resnet-sampling",
                (4, 8),
                in_channels=6,
                out_channels=3,
                layers_per_block=1,
                attention_head_dim=4,
                downsample_type="resnet",
                upsample_type="resnet",
                resnet_time_scale_shift="scale_shift",
                time_embedding_dim=12,
                mid_block_scale_factor=1.5,
                center_input_sample=True,
                **attention_everywhere,
            ),
            None,
            DDIM,
        ),
    }


def write_model(folder, net, codec, scheduler_config):
    """diffusers' folder layout, written by diffusers' own save_pretrained."""
    net.save_pretrained(folder / "unet")
    if codec is not None:
        codec.save_pretrained(folder / "vqvae")
    (folder / "scheduler").mkdir(parents=True, exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler_config, indent=2) + "\n")
    parts = {"scheduler": ["diffusers", "DDIMScheduler"], "unet": ["diffusers", "UNet2DModel"]}
    if codec is not None:
        parts["vqvae"] = ["diffusers", type(codec).__name__]
    index = {"_class_name": "LDMSuperResolutionPipeline", "_diffusers_version": "0.42.1", **parts}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


# Distances between latents and codes are of the order of 5: rounding moves them a thousand times less than this.
CODEBOOK_MARGIN = 0.01


def codebook_margin(codec, latents):
    """How much nearer the nearest code is than the second nearest, at the worst position."""
    flat = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
    nearest = torch.cdist(flat, codec.quantize.embedding.weight, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = nearest.topk(2, dim=1, largest=False).values
    return float((nearest[:, 1] - nearest[:, 0]).min())


def told(net, count, label):
    """What a UNet with class labels must be told, and another must not: 0 any input, 1 a clean one."""
    return {"class_labels": torch.full((count,), label)} if net.config.num_class_embeds else {}


def reference(name, net, codec, scheduler_config):
    """Inputs, outputs and the hidden states between the blocks of both networks."""
    g = rng(f"{name}-reference")
    tensors = {}

    def record(key, module):
        def hook(_, __, output):
            tensors[key] = output[0] if isinstance(output, tuple) else output

        return module.register_forward_hook(hook)

    hooks = [record(f"unet.{key}", getattr(net, key)) for key in ("time_embedding", "conv_in", "mid_block")]
    for kind in ("down_blocks", "up_blocks"):
        hooks += [record(f"unet.{kind}.{i}", block) for i, block in enumerate(getattr(net, kind))]
    # Sides that are no power of two and differ: an axis mixed up or an attention grid misread shows.
    sample = normal(g, 2, net.config.in_channels, 12, 20)
    timestep = 437 * scheduler_config["num_train_timesteps"] // 1000
    # The second label: mistaken for the first, or left out, it would show.
    label = 1 if net.config.num_class_embeds else 0
    tensors |= {"unet.sample": sample, "unet.timestep": torch.tensor([float(timestep)])}
    tensors |= {"unet.class_label": torch.tensor([float(label)])}
    tensors["unet.output"] = net(sample, timestep, **told(net, len(sample), label)).sample

    if codec is not None:
        vq = isinstance(codec, VQModel)
        width = codec.quantize.vq_embed_dim if vq else codec.config.latent_channels
        scale = 2 ** (len(codec.config.block_out_channels) - 1)
        if vq:
            make = lambda g: CODEBOOK_SCALE * normal(g, 1, width, 6, 10)
            latents = seeded_until(f"{name}-latents", make, lambda z: codebook_margin(codec, z) > CODEBOOK_MARGIN)
        else:
            latents = normal(g, 1, width, 6, 10)
        image = normal(g, 1, 3, 6 * scale, 10 * scale).clamp(-1, 1)
        if codec.post_quant_conv is not None:
            hooks.append(record("vqvae.post_quant_conv", codec.post_quant_conv))
        if vq:
            hooks.append(record("vqvae.quantize", codec.quantize))
        decoder = codec.decoder
        hooks.append(record("vqvae.decoder.mid_block", decoder.mid_block))
        hooks += [record(f"vqvae.decoder.up_blocks.{i}", block) for i, block in enumerate(decoder.up_blocks)]
        tensors |= {"vqvae.latents": latents, "vqvae.decode": codec.decode(latents).sample}
        encoded = codec.encode(image)
        tensors |= {"vqvae.image": image, "vqvae.encode": encoded.latents if vq else encoded.latent_dist.mode()}

    for hook in hooks:
        hook.remove()
    return tensors


OLD_ATTENTION_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
# What the configs of 2022 held; everything newer is left to the defaults.
OLD_CONFIG_KEYS = set(
    "_class_name act_fn attention_head_dim block_out_channels center_input_sample down_block_types downsample_padding"
    " flip_sin_to_cos freq_shift in_channels layers_per_block mid_block_scale_factor norm_eps norm_num_groups"
    " out_channels sample_size time_embedding_type up_block_types latent_channels num_vq_embeddings"
    " num_train_timesteps beta_start beta_end beta_schedule clip_sample".split()
)


def old_names(state, as_convolution):
    """The attention weights of a state dict under their 2022 names, if asked for as 1x1 convolutions."""
    renamed = {}
    for key, value in state.items():
        for new, old in OLD_ATTENTION_NAMES.items():
            if f".attentions.0.{new}." in key:
                key = key.replace(f".{new}.", f".{old}.")
                value = value[:, :, None, None] if as_convolution and value.ndim == 2 else value
        renamed[key] = value.clone()
    return renamed


def to_bin(folder, state):
    (folder / "diffusion_pytorch_model.safetensors").unlink(missing_ok=True)
    torch.save(state, folder / "diffusion_pytorch_model.bin")


def models(out, args):
    for name, (net, codec, scheduler_config) in tiny_models().items():
        folder = out / "models" / name
        if name == "half-bin":
            for model, dtype in ((net, torch.float16), (codec, torch.bfloat16)):
                for parameter in model.parameters():
                    parameter.copy_(parameter.to(dtype))
        write_model(folder, net, codec, scheduler_config)
        if name == "half-bin":
            to_bin(folder / "unet", {k: v.half() for k, v in net.state_dict().items()})
            to_bin(folder / "vqvae", {k: v.bfloat16() for k, v in codec.state_dict().items()})
        write_tensors(folder / "reference.safetensors", reference(name, net, codec, scheduler_config))
        if name == "ldm-like":
            old = out / "models" / "old-names"
            write_model(old, net, codec, scheduler_config)
            to_bin(old / "unet", old_names(net.state_dict(), as_convolution=False))
            to_bin(old / "vqvae", old_names(codec.state_dict(), as_convolution=True))
            for path in old.glob("*/*config.json"):
                config = {k: v for k, v in json.loads(path.read_text()).items() if k in OLD_CONFIG_KEYS}
                path.write_text(json.dumps(config, indent=2) + "\n")


# D. Whole runs ---------------------------------------------------------------------------------------------------


def load_model(folder):
    net = UNet2DModel.from_pretrained(folder / "unet").eval()
    kind = json.loads((folder / "vqvae" / "config.json").read_text())["_class_name"]
    codec = {"VQModel": VQModel, "AutoencoderKL": AutoencoderKL}[kind].from_pretrained(folder / "vqvae").eval()
    scheduler_config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    return net.float(), codec.float(), scheduler_config


def decode(codec, latents):
    """Picture [3, 4H, 4W] in [0, 1]. VQModel has a scaling_factor in its config too, but nothing ever divides by it."""
    if isinstance(codec, AutoencoderKL):
        latents = latents / codec.config.scaling_factor + (codec.config.shift_factor or 0.0)
    return (codec.decode(latents).sample.clamp(-1, 1) / 2 + 0.5)[0]


class SteeredDPM(DPMSolverMultistepScheduler):
    """The steered x0 is the model output that enters the multistep history."""

    def convert_model_output(self, model_output, *args, sample=None, **kwargs):
        return self.steer(super().convert_model_output(model_output, *args, sample=sample, **kwargs))


def ddim_step(scheduler, t, output, x, steer, eta, noise, minkds):
    """One DDIM step with steering between "predict x0" and "step from x0"; diffusers' order of operations."""
    config = scheduler.config
    alphas_cumprod = scheduler.alphas_cumprod
    previous = t - config.num_train_timesteps // scheduler.num_inference_steps
    if minkds:
        a_prev = alphas_cumprod[max(previous, 0)]
    else:
        a_prev = alphas_cumprod[previous] if previous >= 0 else scheduler.final_alpha_cumprod
    a = alphas_cumprod[t]
    alpha, sigma = a**0.5, (1 - a) ** 0.5
    if config.prediction_type == "epsilon":
        x0, eps = (x - sigma * output) / alpha, output
    elif config.prediction_type == "v_prediction":
        x0, eps = alpha * x - sigma * output, alpha * output + sigma * x
    elif config.prediction_type == "sample":
        x0, eps = output, (x - alpha * output) / sigma
    if config.clip_sample and not minkds:
        x0 = x0.clamp(-config.clip_sample_range, config.clip_sample_range)
    steered = steer(x0)
    eps = eps - (alpha / sigma) * (steered - x0)
    std = eta * ((1 - a_prev) / (1 - a) * (1 - a / a_prev)) ** 0.5
    result = a_prev**0.5 * steered + (1 - a_prev - std**2) ** 0.5 * eps
    if eta > 0:
        result = result + std * noise
    if steered is x0 and not minkds:  # Nothing was steered: diffusers must agree, or the formulas above are wrong.
        expected = scheduler.step(output, t, x, eta=eta, variance_noise=noise).prev_sample
        torch.testing.assert_close(result, expected, rtol=1e-6, atol=1e-6)
    return result, steered


def sample_run(
    net, scheduler_config, low_res, start, steps,
    solver="ddim", eta=0.0, noises=None, kds=None, minkds=False, clean=False,
):
    """The sampling loop. Returns the final latents [N, C, H, W] and particle 0's (steered) x0 of every step."""
    ddim = solver == "ddim"
    scheduler = DDIMScheduler.from_config(scheduler_config) if ddim else dpm_scheduler(scheduler_config, SteeredDPM)
    scheduler.set_timesteps(steps)
    total = scheduler_config["num_train_timesteps"]
    x, trace = start, []
    for i, t in enumerate(scheduler.timesteps.tolist()):

        def steer(x0):
            if kds is None or not kds["window"][0] < t / total <= kds["window"][1]:
                return x0
            return x0 + kds["gamma_0"] * mean_shift(x0, kds["patch_size"], kds["bandwidth"], kds["kernel"])

        words = told(net, len(x), int(clean))
        output = net(torch.cat([x, low_res.expand(len(x), -1, -1, -1)], 1), t, **words).sample
        if ddim:
            x, x0 = ddim_step(scheduler, t, output, x, steer, eta, None if noises is None else noises[i], minkds)
        else:
            scheduler.steer = steer
            x = scheduler.step(output, t, x).prev_sample
            x0 = scheduler.model_outputs[-1]
        trace.append(x0[0])
    return x, torch.stack(trace), scheduler.timesteps.tolist()


def check_against_diffusers(net, codec, scheduler_config, low_res, steps, seed):
    """Our vanilla loop and diffusers' pipeline must give the same picture from the same noise."""
    scheduler = DDIMScheduler.from_config(scheduler_config)
    pipeline = LDMSuperResolutionPipeline(vqvae=codec, unet=net, scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    theirs = pipeline(low_res[None], num_inference_steps=steps, generator=generator, output_type="pt").images[0]
    start = torch.randn(1, 3, *low_res.shape[-2:], generator=torch.Generator().manual_seed(seed))
    ours = decode(codec, sample_run(net, scheduler_config, low_res, start, steps)[0])
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def low_res_picture(g, height, width):
    """Smooth waves and a little noise, [3, H, W] in [-1, 1]."""
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 4, width), indexing="ij")
    waves = torch.stack([torch.sin(x + y), torch.cos(2 * x - y), torch.sin(3 * y) * torch.cos(x)])
    return (0.7 * waves + 0.15 * normal(g, 3, height, width)).clamp(-1, 1)


def pipelines(out, args):
    # Bandwidths are of the size of the distances between patches that these models give, so that weights lie between
    # 0 and 1; `pipeline_case` makes sure.
    steering = {"gamma_0": 0.3, "bandwidth": 80.0, "patch_size": 4, "kernel": "gaussian", "window": [0.0, 1.0]}
    minkds = {"gamma_0": 0.1, "bandwidth": 9.0, "patch_size": 4, "kernel": "minkds", "window": [0.3, 1.0]}
    clip = {"clip_sample": True, "clip_sample_range": 0.8}
    small = steering | {"bandwidth": 9.0}
    ldm = [
        {"name": "vanilla-ddim", "particles": 1},
        {"name": "vanilla-ddim-eta", "particles": 2, "eta": 0.7, "select": "first"},
        {"name": "vanilla-dpm", "particles": 1, "solver": "dpm++"},
        {"name": "kds-full", "kds": steering},
        # 10 leading steps meet the window's edges exactly: t = 800 is steered (t / T <= 0.8), t = 300 is not (> 0.3).
        {"name": "kds-window", "kds": steering | {"window": [0.3, 0.8]}, "steps": 10},
        {"name": "kds-dpm", "kds": steering, "solver": "dpm++"},
        {"name": "kds-clip", "kds": small | {"bandwidth": 5.0}, "scheduler_overrides": clip},
        {"name": "preset-minkds", "kds": minkds, "minkds": True, "select": "lowest-variance"},
    ]
    kl = [
        {"name": "kl-vanilla", "particles": 1},
        # Ragged patches: 5 divides neither 8 nor 12.
        {"name": "kl-kds", "kds": small | {"patch_size": 5}},
        {"name": "kl-kds-clip", "kds": small | {"bandwidth": 6.0}, "scheduler_overrides": clip},
        {"name": "kl-kds-dpm", "kds": small, "solver": "dpm++"},
        # minKDS clips nothing, whatever the scheduler's config says.
        {
            "name": "kl-preset-minkds",
            "kds": minkds | {"bandwidth": 2.6},
            "minkds": True,
            "select": "lowest-variance",
            "scheduler_overrides": clip,
        },
        {"name": "kl-select-mean", "kds": small, "select": "mean"},
    ]
    shifted = [{"name": "shifted-kds-eta", "kds": small, "eta": 1.0, "select": "lowest-variance", "clean": True}]
    defaults = {"particles": 4, "solver": "ddim", "steps": 5, "eta": 0.0, "kds": None, "minkds": False, "clean": False}
    defaults |= {"select": "nearest-mean", "scheduler_overrides": {}}

    tensors, records = {}, []
    for model, cases in (("ldm-like", ldm), ("kl-like-bundled", kl), ("scale-shift", shifted)):
        net, codec, scheduler_config = load_model(out / "models" / model)
        for case in cases:
            case = {"name": case["name"], "model": model} | defaults | case
            arrays, result = pipeline_case(net, codec, scheduler_config | case["scheduler_overrides"], case)
            tensors |= {f"{case['name']}.{key}": value for key, value in arrays.items()}
            records.append(case | result)
            if case["name"] == "vanilla-ddim":
                check_against_diffusers(net, codec, scheduler_config, arrays["low_res"], case["steps"], seed=5)
    write_tensors(out / "pipelines.safetensors", tensors)
    write_json(out / "pipelines.json", {"cases": records})


def pipeline_case(net, codec, scheduler_config, case):
    settings = {key: case[key] for key in ("steps", "solver", "eta", "minkds", "clean")}
    shape = (case["particles"], net.config.out_channels, 8, 12)

    def make(g):
        low_res, start = low_res_picture(g, *shape[-2:]), normal(g, *shape)
        noises = normal(g, case["steps"], *shape) if case["eta"] > 0 else None
        inputs = {"low_res": low_res, "start": start, "noises": noises}
        final, x0, timesteps = sample_run(net, scheduler_config, kds=case["kds"], **inputs, **settings)
        index = None if case["select"] == "mean" else select(final, case["select"])
        return inputs, final, x0, timesteps, index

    def chosen(final, index):
        return final.mean(0, keepdim=True) if index is None else final[index : index + 1]

    def clear(made):
        """Not particle 0, which a broken selection also gives; no code so near a tie that rounding changes it."""
        _, final, _, _, index = made
        if case["particles"] > 1 and case["select"] != "first" and index == 0:
            return False
        return not isinstance(codec, VQModel) or codebook_margin(codec, chosen(final, index)) > CODEBOOK_MARGIN

    inputs, final, x0, timesteps, index = seeded_until(f"pipeline-{case['name']}", make, clear)
    if case["kds"]:
        # The case would prove nothing if its steering did nothing, or if all weights were 1.
        for other in (None, case["kds"] | {"bandwidth": 1e9}):
            unlike = sample_run(net, scheduler_config, kds=other, **inputs, **settings)[0]
            assert (unlike - final).norm() > 0.003 * final.norm(), (case["name"], other)
    arrays = {key: value for key, value in inputs.items() if value is not None}
    arrays |= {"x0": x0, "final": final, "picture": decode(codec, chosen(final, index))}
    return arrays, {"timesteps": timesteps, "selected": index}


# E. The bundled model --------------------------------------------------------------------------------------------


def bundled(out, args):
    if out != FIXTURES:
        shutil.copyfile(FIXTURES / "bundled.png", out / "bundled.png")
    net, codec, scheduler_config = load_model(args.bundled)
    pixels = np.asarray(Image.open(out / "bundled.png").convert("RGB"), np.float32)
    low_res = torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1
    start = normal(rng("bundled-1"), 4, net.config.out_channels, *low_res.shape[-2:])
    steering = {"gamma_0": 0.3, "bandwidth": 11.3, "patch_size": 4, "kernel": "gaussian", "window": [0.0, 1.0]}
    cases = [
        {"name": "vanilla", "particles": 1, "solver": "ddim", "steps": 15, "kds": None},
        {"name": "kds", "particles": 4, "solver": "ddim", "steps": 15, "kds": steering},
        {"name": "dpm", "particles": 1, "solver": "dpm++", "steps": 10, "kds": None},
        {"name": "clean", "particles": 1, "solver": "ddim", "steps": 5, "kds": None, "clean": True},
    ]
    tensors, records = {"low_res": low_res, "start": start}, []
    for case in cases:
        settings = {key: case[key] for key in ("solver", "steps", "kds", "clean") if key in case}
        final, _, timesteps = sample_run(net, scheduler_config, low_res, start[: case["particles"]], **settings)
        index = select(final, "nearest-mean")
        tensors[f"{case['name']}.final"] = final
        tensors[f"{case['name']}.picture"] = decode(codec, final[index : index + 1])
        records.append(case | {"select": "nearest-mean", "timesteps": timesteps, "selected": index})
    write_tensors(out / "bundled.safetensors", tensors)
    write_json(out / "bundled.json", {"cases": records})


# F. Colour fix ---------------------------------------------------------------------------------------------------


def color(out, args):
    """What training takes for believable, with noise, detail of either side only, and edges; [H, W, 3] in [0, 1]."""
    sys.path.insert(0, str(ROOT / "tools" / "train"))
    from fix import believed

    generator = rng("color")
    height, width = 24, 40
    coarse = normal(generator, 1, 3, 4, 6)
    shared = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear") * 0.15 + 0.5
    shared[..., 10:12, :] += 0.2
    shared = 2 * shared - 1
    reduced = shared + 0.02 * normal(generator, 1, 3, height, width) * (torch.arange(width) < 14)
    small = shared + 0.03 * normal(generator, 1, 3, height, width) * (torch.arange(width) > 22)
    small = small + 0.3 * normal(generator, 1, 3, height, width) * (torch.arange(width) > 33)
    small[..., 18, 8] = 0.9
    reduced, small = reduced.clamp(-1, 1), small.clamp(-1, 1)
    arrays = {"reduced": reduced, "input": small, "believed": believed(reduced, small)}
    write_tensors(out / "color.safetensors", {k: v[0].permute(1, 2, 0) / 2 + 0.5 for k, v in arrays.items()})


# G. Files that must be refused -----------------------------------------------------------------------------------


class RunsCode:
    """Unpickling this would run a command. A reader that parses pickles as data must refuse it and leave no trace."""

    def __reduce__(self):
        return os.system, ("touch /tmp/minkds-pickle-ran",)


def bad(out, args):
    folder = out / "bad"
    folder.mkdir(exist_ok=True)
    tensor = torch.arange(6, dtype=torch.float32).view(2, 3)
    # torch.save writes pickle protocol 2 (the callable named by GLOBAL); protocol 4 names it by STACK_GLOBAL.
    torch.save({"conv_in.weight": tensor, "conv_in.bias": RunsCode()}, folder / "pickle-with-code.bin")
    code4 = folder / "pickle-with-code-protocol-4.bin"
    torch.save({"conv_in.weight": tensor, "conv_in.bias": RunsCode()}, code4, pickle_protocol=4)
    torch.save({"conv_in.weight": tensor.to_sparse(), "conv_in.bias": tensor[0]}, folder / "sparse.bin")
    # Valid, but of the format before 2020: a reader may accept or refuse it, with a clear word in either case.
    # A single tensor, since this format orders tensors by their address in memory, and names them by it.
    torch.save({"conv_in.weight": tensor}, folder / "legacy.bin", _use_new_zipfile_serialization=False)
    data = (folder / "legacy.bin").read_bytes()
    (folder / "legacy.bin").write_bytes(re.sub(rb"X.\0\0\0\d{10,}", b"X\1\0\0\0" + b"0", data, flags=re.DOTALL))


# H. Pictures -----------------------------------------------------------------------------------------------------

PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channel count
ORIENTATION_TAG = 0x0112
# What turns the upright picture into what a camera stored; EXIF's orientation undoes it.
STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def write_png(path, pixels):
    """[H, W, C] of u8 or u16: Pillow cannot write most 16-bit kinds."""
    height, width, channels = pixels.shape
    depth = pixels.itemsize * 8
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, depth, PNG_COLOUR_TYPES[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    )


def exif(orientation):
    data = Image.Exif()
    data[ORIENTATION_TAG] = orientation
    return data


def images(out, args):
    folder = out / "images"
    folder.mkdir(exist_ok=True)
    # A smooth picture without any symmetry, so that each orientation differs, in 16 bits and in 8.
    width, height = 12, 8
    y, x = np.mgrid[0:height, 0:width] / np.array([height - 1, width - 1]).reshape(2, 1, 1)
    waves = [0.1 + 0.8 * x, 0.1 + 0.7 * y + 0.1 * x, 0.5 + 0.4 * np.cos(3 * x + 2 * y)]
    rgb16 = np.round(np.stack(waves, -1) * 65535).astype(np.uint16)
    alpha16 = np.round((0.05 + 0.9 * (x + y) / 2) * 65535).astype(np.uint16)[..., None]
    grey16 = rgb16[..., 2:]
    rgb, alpha, grey = (np.round(a / 257).astype(np.uint8) for a in (rgb16, alpha16, grey16))
    upright = Image.fromarray(rgb)
    upright_a = Image.fromarray(np.concatenate([rgb, alpha], -1))
    upright_l = Image.fromarray(grey[..., 0])
    records = []

    def record(name, pixels=None, tolerance=0):
        """Expected pixels as RGB or RGBA, upright: given, or (8-bit files) as Pillow reads the first frame."""
        mode = None
        if pixels is None:
            with Image.open(folder / name) as image:
                mode = image.mode
                has_alpha = mode in ("LA", "RGBA") or "transparency" in image.info
                pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGBA" if has_alpha else "RGB"))
        if pixels.shape[2] < 3:  # grey: the same value three times, alpha kept
            pixels = np.concatenate([pixels[..., :1]] * 3 + [pixels[..., 1:]], -1)
        height, width, channels = pixels.shape
        shape = {"width": width, "height": height, "channels": channels, "bit_depth": pixels.itemsize * 8}
        values = pixels.ravel().tolist()
        records.append({"file": name, "pillow_mode": mode, **shape, "tolerance": tolerance, "values": values})

    def save(name, image, tolerance=0, **options):
        image.save(folder / name, **options)
        record(name, tolerance=tolerance)

    # Decoders of lossy formats may differ by rounding in the transform, in colour conversion and in chroma upsampling.
    lossy = 3
    jpeg = {"quality": 95, "subsampling": 0}
    save("upright.png", upright)
    for orientation in range(1, 9):
        stored = upright.transpose(STORED_AS[orientation]) if orientation > 1 else upright
        save(f"orientation-{orientation}.jpg", stored, lossy, exif=exif(orientation), **jpeg)
    stored = upright.transpose(STORED_AS[6])
    save("orientation-6.png", stored, exif=exif(6))
    save("orientation-6.webp", stored, lossless=True, exif=exif(6))
    save("orientation-6.tif", stored, tiffinfo={ORIENTATION_TAG: 6})

    save("progressive.jpg", upright, lossy, progressive=True, **jpeg)
    save("chroma-420.jpg", upright, 8, quality=95, subsampling=2)
    save("grey.jpg", upright_l, lossy, quality=95)
    save("cmyk.jpg", upright.convert("CMYK"), lossy, **jpeg)

    save("grey-8.png", upright_l)
    save("grey-alpha-8.png", upright_a.convert("LA"))
    save("rgba-8.png", upright_a)
    save("one-bit.png", upright_l.convert("1"))
    palette = upright.quantize(16)
    save("palette.png", palette)
    save("palette-transparent.png", palette, transparency=bytes(range(0, 256, 17)))
    save("colour-key.png", upright, transparency=tuple(rgb[2, 3].tolist()))
    for name, pixels in (
        ("rgb-16.png", rgb16),
        ("rgba-16.png", np.concatenate([rgb16, alpha16], -1)),
        ("grey-16.png", grey16),
        ("grey-alpha-16.png", np.concatenate([grey16, alpha16], -1)),
    ):
        write_png(folder / name, pixels)
        record(name, pixels)
    save("animated.png", upright, save_all=True, append_images=[upright.rotate(180)], duration=100)

    save("rgb-8.tif", upright)
    save("lzw.tif", upright, compression="tiff_lzw")
    tifffile.imwrite(folder / "rgb-16.tif", rgb16, photometric="rgb", metadata=None, software=False)
    record("rgb-16.tif", rgb16)

    save("lossless.webp", upright, lossless=True)
    save("lossy.webp", upright, 8, quality=95)
    save("alpha.webp", upright_a, lossless=True, exact=True)
    frames = {"save_all": True, "append_images": [upright.rotate(180)], "duration": 100}
    save("animated.webp", upright, lossless=True, **frames)
    save("rgb.bmp", upright)
    write_json(out / "images.json", {"images": records})


# -----------------------------------------------------------------------------------------------------------------

# In this order: `pipelines` reads what `models` wrote.
PARTS = {
    "schedulers": schedulers,
    "kds": kds,
    "models": models,
    "pipelines": pipelines,
    "bundled": bundled,
    "color": color,
    "bad": bad,
    "images": images,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--out", type=Path, default=FIXTURES, help="folder to write (default: tests/fixtures)")
    parser.add_argument("--bundled", type=Path, default=ROOT / "assets" / "model", help="folder of the bundled model")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    logging.getLogger("diffusers").setLevel(logging.ERROR)  # It warns of config keys that a scheduler does not know.
    args.out = args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, part in PARTS.items():
        if not args.parts or name in args.parts:
            print(name, flush=True)
            part(args.out, args)


if __name__ == "__main__":
    main()
