"""How fast minkds is beside PyTorch on this machine, and how much memory it takes.

    python -m venv venv && venv/bin/pip install -r tools/requirements.txt
    venv/bin/python tools/bench.py              # speed: networks and mean shift
    venv/bin/python tools/bench.py --memory     # peak memory of whole runs
    venv/bin/python tools/bench.py --device gpu --precision f16 --batch 10 --whole

On the processor both programs use all cores and f32; on a graphics card PyTorch runs compiled
(`torch.compile`), in the precision that minkds is told. They take turns, and the best round of each counts, so that a
machine which others use too wrongs neither. Two models are measured: the bundled one, and the published LDM
super-resolution model's full-size configuration with random weights. `--whole` times 50 steps of 10 steered
particles from 128 to 512 pixels. Needs cargo; prints Markdown.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import diffusers
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DModel, VQModel
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = ROOT / "assets" / "model"
# Any moment of the noise schedule costs the same.
TIMESTEP = 500
MIB = 2**20


def ldm_sr(folder):
    """The full-size LDM-SR configuration with random weights in diffusers' layout, made on first use."""
    index = folder / "model_index.json"
    if index.exists():
        return folder
    torch.manual_seed(0)
    blocks = ["DownBlock2D"] * 3 + ["AttnDownBlock2D"]
    unet = UNet2DModel(
        in_channels=6, out_channels=3, block_out_channels=(160, 320, 320, 640), layers_per_block=2,
        attention_head_dim=32, down_block_types=blocks,
        up_block_types=[name.replace("Down", "Up") for name in reversed(blocks)],
    )  # fmt: skip
    vqvae = VQModel(
        block_out_channels=(128, 256, 512), layers_per_block=2, latent_channels=3, num_vq_embeddings=8192,
        down_block_types=["DownEncoderBlock2D"] * 3, up_block_types=["UpDecoderBlock2D"] * 3,
    )  # fmt: skip
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.0015, beta_end=0.0155, clip_sample=False)
    unet.half().save_pretrained(folder / "unet")
    vqvae.half().save_pretrained(folder / "vqvae")
    scheduler.save_pretrained(folder / "scheduler")
    parts = {"unet": unet, "vqvae": vqvae, "scheduler": scheduler}
    parts = {name: ["diffusers", type(part).__name__] for name, part in parts.items()}
    index.write_text(json.dumps({"_class_name": "LDMSuperResolutionPipeline", **parts}))
    return folder


def build(features):
    """Paths of the program and the benchmarks, by name."""
    targets = ["--bin", "minkds", "--bench", "networks", "--bench", "mean_shift"]
    command = ["cargo", "build", "--release", "--message-format", "json", "--features", features, *targets]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    artifacts = [message for message in map(json.loads, lines) if message.get("executable")]
    return {artifact["target"]["name"]: artifact["executable"] for artifact in artifacts}


def json_lines(*command):
    out = subprocess.run([*map(str, command)], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def seconds(work):
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def table(head, rows):
    print("\n|", " | ".join(head), "|\n|", " | ".join("---" for _ in head), "|")
    for row in rows:
        print("|", " | ".join(row), "|")


# Speed -----------------------------------------------------------------------------------------------------------


def torch_networks(folder, side, args):
    """What `benches/networks.rs` measures, in PyTorch."""
    dtype = torch.float16 if args.precision == "f16" else torch.float32
    load = {"torch_dtype": dtype, "low_cpu_mem_usage": False}
    config = json.loads((folder / "vqvae" / "config.json").read_text())
    vqvae = {"VQModel": VQModel, "AutoencoderKL": AutoencoderKL}[config["_class_name"]]
    vqvae = vqvae.from_pretrained(folder / "vqvae", **load)
    unet = UNet2DModel.from_pretrained(folder / "unet", **load)
    vqvae, unet = vqvae.to(args.torch_device), unet.to(args.torch_device)
    decode = vqvae.decode
    if args.torch_device != "cpu":
        unet, decode = torch.compile(unet), torch.compile(decode)
    random = {"device": args.torch_device, "dtype": dtype}
    latents = torch.randn(args.batch, unet.config.out_channels, side, side, **random)
    low_res = torch.randn(args.batch, 3, side, side, **random)
    return {
        "unet": lambda: unet(torch.cat([latents, low_res], 1), TIMESTEP),
        "decode": lambda: decode(latents[:1]),
    }


def torch_mean_shift(x, bandwidth=10.0, p=4):
    """Mean shift by the tensor of all differences, `[N, N, C p², H/p, W/p]`, as minKDS has it."""
    n, c, h, w = x.shape
    patches = x.view(n, c, h // p, p, w // p, p).permute(0, 1, 3, 5, 2, 4).reshape(n, c * p * p, h // p, w // p)
    distances = (patches[:, None] - patches[None]).norm(dim=2)
    weights = torch.exp(-((distances / bandwidth) ** 2) / 2)
    mean = torch.einsum("ijhw,jdhw->idhw", weights, patches) / weights.sum(1, keepdim=True)
    shift = (mean - patches).view(n, c, p, p, h // p, w // p)
    return shift.permute(0, 1, 4, 2, 5, 3).reshape(x.shape)


def race(ours, theirs, rounds):
    """Best seconds of each: `ours()` gives JSON objects, `theirs` has something to call for each of them."""
    best, lines = {}, {}
    for work in theirs.values():
        work()
    for _ in range(rounds):
        for line in ours():
            what = str(line.get("shape", line["what"]))
            lines[what] = line
            pair = line["seconds"], seconds(theirs[what])
            best[what] = tuple(map(min, pair, best.get(what, pair)))
    return [(lines[what], *best[what]) for what in lines]


@torch.inference_mode()
def speed(programs, models, args):
    rows = []
    side, device = args.side, ["--device", args.device]
    where = [*device, "--precision", args.precision, "--batch", args.batch]
    for name, folder in models.items():
        command = programs["networks"], folder, "--size", f"{side}x{side}", "--rounds", 1, *where
        for line, ours, theirs in race(lambda: json_lines(*command), torch_networks(folder, side, args), args.rounds):
            flops = line["gflops"] * line["seconds"]
            rates = [f"{1e3 * s:.1f} ms ({flops / s:.0f} GFLOP/s)" for s in (theirs, ours)]
            batch = f"{line['batch']} × " if line["batch"] > 1 else ""
            rows.append([f"{name}: {line['what']}, {batch}{side} × {side}", *rates, f"{theirs / ours:.2f}"])
    works = {}
    for line in json_lines(programs["mean_shift"], "--rounds", 1, *device):
        x = torch.randn(line["shape"], device=args.torch_device)
        works[str(line["shape"])] = lambda x=x: torch_mean_shift(x)
    for line, ours, theirs in race(lambda: json_lines(programs["mean_shift"], *device), works, args.rounds):
        shape = " × ".join(map(str, line["shape"]))
        rows.append([f"mean shift, {shape}", f"{1e3 * theirs:.2f} ms", f"{1e3 * ours:.2f} ms", f"{theirs / ours:.1f}"])
    table(["", f"PyTorch {torch.__version__}", "minkds", "times as fast"], rows)


PARTICLES, STEPS, SIDE = 10, 50, 128


@torch.inference_mode()
def whole(programs, models, args):
    """One picture from start to end: minkds with starting and loading, PyTorch loaded and compiled."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "noise.png"
        Image.effect_noise((SIDE, SIDE), 60).convert("RGB").save(picture)
        for name, model in models.items():
            run = [programs["minkds"], "--no-gui", picture, "-o", Path(folder) / "out.png", "--no-check", "--quiet"]
            run += ["--on-conflict", "overwrite", "--model", model, "--particles", PARTICLES, "--steps", STEPS]
            run += ["--device", args.device, "--precision", args.precision, "--kernel", "gaussian", "--solver", "ddim"]
            command = [*map(str, run)]
            ours = min(seconds(lambda: subprocess.run(command, check=True)) for _ in range(args.rounds))
            args.batch = PARTICLES
            networks = torch_networks(model, SIDE, args)
            channels = json.loads((model / "unet" / "config.json").read_text())["out_channels"]
            x = torch.randn(PARTICLES, channels, SIDE, SIDE, device=args.torch_device)

            def loop():
                for _ in range(STEPS):
                    networks["unet"]()
                    torch_mean_shift(x)
                networks["decode"]()

            networks["unet"](), networks["decode"]()
            theirs = min(seconds(loop) for _ in range(args.rounds))
            what = f"{name}: {PARTICLES} particles, {STEPS} steps, {SIDE} → {4 * SIDE}"
            rows.append([what, f"{theirs:.1f} s", f"{ours:.1f} s", f"{theirs / ours:.2f}"])
    table(["whole run", f"PyTorch {torch.__version__}", "minkds", "times as fast"], rows)


# Memory ----------------------------------------------------------------------------------------------------------

# Runs a program from a small process, because a program started from a large one counts the large one's memory.
PEAK = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(peak * (1 if sys.platform == "darwin" else 1024), done.returncode)
print(done.stderr)
"""


def peak_memory(*command):
    """Peak resident bytes, exit code and messages."""
    command = [sys.executable, "-c", PEAK, *map(str, command)]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    numbers, _, messages = out.partition("\n")
    peak, code = map(int, numbers.split())
    return peak, code, messages


def memory(program, models, cases, folder):
    rows = []
    for name, side in cases:
        picture = folder / f"noise-{side}.png"
        Image.effect_noise((side, side), 60).convert("RGB").save(picture)
        run = [program, "--no-gui", picture, "-o", folder / "out.png", "--on-conflict", "overwrite", "--no-check"]
        run += ["--model", models[name], "--particles", 4, "--steps", 2]
        # Refused once the model is loaded: what the program holds then. What it needs beyond that, it plans.
        loaded, _, _ = peak_memory(*run, "--memory-limit", "1MB")
        plan = subprocess.run([*map(str, run), "--dry-run", "--json"], check=True, capture_output=True, text=True).stdout
        needed = json.loads(plan.splitlines()[-1])["memory"] / MIB
        peak, code, messages = peak_memory(*run)
        if code:
            sys.exit(messages)
        peak, loaded = peak / MIB, loaded / MIB
        figures = [f"{peak:.0f} MiB", f"{loaded:.0f} MiB", f"{peak - loaded:.0f} MiB", f"{needed:.0f} MiB"]
        rows.append([f"{name}, {side} × {side}, 4 particles", *figures, f"{needed / (peak - loaded):.2f}"])
    table(["", "peak", "model loaded", "run", "estimate of the run", "estimate / run"], rows)


def machine():
    try:
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        names = []
    card = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    cores = f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} threads"
    return f"{cores}{card}, {platform.platform()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", action="store_true", help="measure memory instead of speed")
    parser.add_argument("--whole", action="store_true", help="time a whole run instead of its parts")
    parser.add_argument("--device", default="cpu", help="minkds' device: cpu, gpu, gpu:N or cuda:N")
    parser.add_argument("--precision", choices=["f32", "f16"], default="f32", help="both programs' precision")
    parser.add_argument("--batch", type=int, default=1, help="pictures of one UNet evaluation")
    parser.add_argument("--features", default="", help="cargo features to build with: vulkan, metal, cuda")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each program")
    parser.add_argument("--side", type=int, default=128, help="height and width of the latents")
    cache = Path.home() / ".cache" / "minkds-bench"
    parser.add_argument("--cache", type=Path, default=cache, help="folder for the random model")
    parser.add_argument("--only", choices=["bundled", "LDM-SR"], help="one model instead of both")
    args = parser.parse_args()

    models = {"bundled": BUNDLED, "LDM-SR": ldm_sr(args.cache / "ldm-sr")}
    models = {name: folder for name, folder in models.items() if args.only in (None, name)}
    args.torch_device = "cuda" if args.device != "cpu" and torch.cuda.is_available() else "cpu"
    programs = build(args.features)
    rustc = subprocess.run(["rustc", "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    print(f"{machine()}\n\n{rustc}, Python {platform.python_version()}, diffusers {diffusers.__version__}")
    features = f" with {args.features}" if args.features else ""
    print(f"minkds on {args.device} in {args.precision}{features}, PyTorch on {args.torch_device}")
    if args.memory:
        cases = [(name, side) for name, side in [("LDM-SR", 128), ("bundled", 128), ("bundled", 512)] if name in models]
        memory(programs["minkds"], models, cases, args.cache)
    elif args.whole:
        whole(programs, models, args)
    else:
        speed(programs, models, args)


if __name__ == "__main__":
    main()
