"""Every command on a tiny configuration, and the parts against diffusers. `pytest tools/train`, about a minute."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DModel
from PIL import Image

HERE = Path(__file__).resolve().parent
BUNDLED = HERE.parents[1] / "assets" / "model"
sys.path.insert(0, str(HERE))

import degrade  # noqa: E402
import sampler  # noqa: E402
from codec import Codec  # noqa: E402
from data import Crops, Pack  # noqa: E402
from export import SCHEDULER  # noqa: E402


def command(*arguments, check=True):
    done = subprocess.run([sys.executable, HERE, *map(str, arguments)], capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return done


def photograph(seed, side=320):
    """Something with edges at all sizes."""
    rng = np.random.default_rng(seed)
    layers = [rng.random((n, n, 3)) * 255 for n in (5, 20, 80, side)]
    layers = [Image.fromarray(a.astype(np.uint8)).resize((side, side), Image.Resampling.NEAREST) for a in layers]
    return np.mean([np.asarray(a, np.float32) for a in layers], 0).astype(np.uint8)


@pytest.fixture(scope="session")
def pack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for i in range(3):
        Image.fromarray(photograph(i)).save(folder / f"{i}.png")
    Image.fromarray(np.full((300, 300, 3), 128, np.uint8)).save(folder / "flat.png")
    licences = folder / "licences.csv"
    licences.write_text("file,source,licence\n0.png,somebody,CC0\n[12].*,another,CC BY\n")
    out = folder / "pack.zip"
    done = command("prepare", folder, "--out", out, "--licences", licences)
    assert "left out: flat.png" in done.stdout and "2 CC BY" in done.stdout
    return out


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A model folder with the bundled one's codec and hardly any weights."""
    folder = tmp_path_factory.mktemp("tiny")
    UNet2DModel(
        in_channels=11, out_channels=8, block_out_channels=(16, 16), norm_num_groups=4, layers_per_block=1,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, add_attention=False,
    ).save_pretrained(folder / "unet")  # fmt: skip
    AutoencoderKL(
        latent_channels=8, block_out_channels=(8, 8, 8), norm_num_groups=4, mid_block_add_attention=False,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    ).save_pretrained(folder / "vqvae")  # fmt: skip
    (folder / "minkds.json").write_text((BUNDLED / "minkds.json").read_text())
    return folder


def few(pack, model, run, *more):
    return ("--pack", pack, "--init", model, "--run", run, "--minutes", 2, "--batch", 4, "--crop", 64,
            "--every", 1, *more)  # fmt: skip


def weights(run):
    return torch.load(run / "checkpoint.pt", weights_only=True)["state"]["average"]


def test_a_resumed_run_ends_where_an_unbroken_one_does(pack, tiny, tmp_path):
    command("train-unet", *few(pack, tiny, tmp_path / "whole", "--steps", 4))
    for steps in (2, 4):
        command("train-unet", *few(pack, tiny, tmp_path / "broken", "--steps", steps))
    whole, broken = weights(tmp_path / "whole"), weights(tmp_path / "broken")
    # Only the learning rate's short rise at each sitting's start may differ: a hundredth of 2e-4 a step.
    assert all((whole[k] - broken[k]).abs().max() < 1e-4 for k in whole)
    rows = list(csv.DictReader(open(tmp_path / "broken" / "curve.csv")))
    assert [r["step"] for r in rows] == ["0", "1", "2", "3"]
    assert (tmp_path / "broken" / "curve.png").stat().st_size > 1000
    assert len(json.loads((tmp_path / "broken" / "run.json").read_text())["sittings"]) == 2


def test_a_terminated_run_leaves_a_checkpoint(pack, tiny, tmp_path):
    arguments = few(pack, tiny, tmp_path / "run", "--through", "decoder")
    run = subprocess.Popen([sys.executable, HERE, "train-unet", *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    while not run.stdout.readline().startswith("step 1 "):
        assert run.poll() is None
    started = time.monotonic()
    run.send_signal(signal.SIGTERM)
    assert run.wait(60) == 0 and time.monotonic() - started < 30
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] >= 2


def test_what_is_exported_is_read_by_diffusers_and_is_what_was_trained(pack, tiny, tmp_path):
    command("train-unet", *few(pack, tiny, tmp_path / "unet", "--steps", 2))
    for stage in ("encoder", "decoder"):
        command("train-vae", *few(pack, tiny, tmp_path / "vae", "--steps", 2, "--stage", stage))
        if stage == "encoder":
            (tmp_path / "vae" / "checkpoint.pt").unlink()
    out = tmp_path / "model"
    command("export", "--init", tiny, "--unet", tmp_path / "unet", "--vae", tmp_path / "vae", "--out", out, "--name", "x")
    unet = UNet2DModel.from_pretrained(out / "unet", low_cpu_mem_usage=False)
    AutoencoderKL.from_pretrained(out / "vqvae", low_cpu_mem_usage=False)
    trained = weights(tmp_path / "unet")
    for name, weight in unet.state_dict().items():
        # f16 keeps 11 bits.
        torch.testing.assert_close(weight.float(), trained[f"network.{name}"], rtol=2**-11, atol=1e-6)
    card = (out / "README.md").read_text()
    assert card.startswith("# x: model card") and "1 CC0" in card
    assert json.loads((out / "minkds.json").read_text())["name"] == "x"
    finetuned = few(pack, tiny, tmp_path / "fine", "--steps", 1, "--stage", "finetune", "--unet", out)
    command("train-vae", *finetuned)


def test_bad_input_gets_one_message(tiny, tmp_path):
    done = command("train-unet", *few(tmp_path / "none.zip", tiny, tmp_path / "run"), check=False)
    assert done.returncode == 1 and done.stderr.startswith("error: There is no pack at")
    done = command("prepare", tmp_path, "--out", tmp_path / "pack.zip", check=False)
    assert done.returncode == 1 and "no photographs" in done.stderr
    assert not (tmp_path / "pack.zip").exists()


def test_crops_depend_on_their_number_alone(pack):
    crops = Crops(Pack(pack), 64, seed=3)
    first, again = crops[7], Crops(Pack(pack), 64, seed=3)[7]
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert first[0].shape == (3, 64, 64) and first[1].shape == (3, 16, 16)
    assert not torch.equal(first[0], crops[8][0])


def test_degradation_keeps_the_picture_in_its_place():
    """However degraded, a small picture fits the clean reduction best where it lies."""
    picture = photograph(5, 128)
    clean = degrade.clean(picture).astype(np.float32)
    for seed in range(40):
        small = degrade.realistic(picture, np.random.default_rng(seed)).astype(np.float32)
        shifted = lambda dy, dx: np.abs(np.roll(small, (dy, dx), (0, 1)) - clean)[2:-2, 2:-2].mean()  # noqa: E731
        here = shifted(0, 0)
        assert all(here < shifted(*by) for by in ((0, 1), (1, 0), (0, -1), (-1, 0))), seed


def test_the_codec_undoes_itself():
    codec = Codec.of_model(BUNDLED)
    latents = torch.randn(1, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    # The matrix is kept with four digits, and its inverse is computed from those.
    torch.testing.assert_close(codec.encode(codec.decode(latents)), latents, rtol=0, atol=1e-4)
    pictures = torch.from_numpy(photograph(1)).permute(2, 0, 1)[None].float() / 127.5 - 1
    fitted = Codec.fitted(pictures, 8)
    z = fitted.encode(pictures)
    torch.testing.assert_close(z.std((0, 2, 3)), torch.ones(8), rtol=0, atol=1e-2)


def test_the_walk_is_diffusers_ddim():
    scheduler = DDIMScheduler.from_config(SCHEDULER)
    scheduler.set_timesteps(6)
    unet = lambda x, t: type("Output", (), {"sample": torch.tanh(x[:, :8] + x[:, 8:9]) * (t / 500)[:, None, None, None]})  # noqa: E731, E501
    generator = torch.Generator().manual_seed(1)
    small = torch.randn(2, 3, 8, 8, generator=generator)
    noise = torch.randn(2, 8, 8, 8, generator=generator)
    x = noise
    for t in scheduler.timesteps:
        v = sampler.predict(unet, x, small, t.expand(2))
        x = scheduler.step(v, t, x).prev_sample
    # Rounding in a different order, grown by six steps.
    torch.testing.assert_close(sampler.walk(unet, small, noise, sampler.whole_path(6)), x, rtol=1e-4, atol=1e-4)


def test_the_shift_goes_to_the_mean_and_to_nothing():
    x = torch.randn(4, 8, 8, 8, generator=torch.Generator().manual_seed(2))
    far = sampler.shift(x, 1e4, 4)
    torch.testing.assert_close(far, x.mean(0) - x, rtol=0, atol=1e-4)
    assert sampler.shift(x, 1e-2, 4).abs().max() == 0
