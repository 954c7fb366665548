"""Every command on a tiny configuration, and the parts against diffusers. `pytest tools/train`, about a minute."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DModel
from PIL import Image
from safetensors.torch import load_file

HERE = Path(__file__).resolve().parent
BUNDLED = HERE.parents[1] / "assets" / "model"
sys.path.insert(0, str(HERE))

import degrade  # noqa: E402
import fix  # noqa: E402
import sampler  # noqa: E402
from codec import Codec  # noqa: E402
from data import Crops, Pack  # noqa: E402
from export import SCHEDULER, write_json  # noqa: E402
from muon import orthogonal  # noqa: E402
from networks import read_unet  # noqa: E402
from perceptual import grain, psnr, score  # noqa: E402
from run import Machine  # noqa: E402
from steering import Steering  # noqa: E402
from teacher import Teacher  # noqa: E402
from unet import likely  # noqa: E402


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
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    return folder


def few(pack, model, run, *more):
    """Arguments for steps that are few but large: what is not learnt shows. The average is the network itself."""
    return ("--pack", pack, "--init", model, "--run", run, "--minutes", 10, "--batch", 4, "--crop", 64,
            "--every", 1, "--rate", 0.1, "--average", 0, *more)  # fmt: skip


def state(run, name):
    return torch.load(run / "checkpoint.pt", weights_only=True)["state"][name]


def test_a_resumed_run_ends_where_an_unbroken_one_does(pack, tiny, tmp_path):
    # With this seed each of the four kinds of late states comes up once (on two cores or more).
    shares = ("--steered", 0.3, "--drafts", 0.4, "--seed", 11)
    command("train-unet", *few(pack, tiny, tmp_path / "whole", *shares, "--steps", 4))
    for steps in (2, 4):
        command("train-unet", *few(pack, tiny, tmp_path / "broken", *shares, "--steps", steps))
    start = UNet2DModel.from_pretrained(tiny / "unet", low_cpu_mem_usage=False).state_dict()
    for name in ("unet", "vae"):
        whole, broken = state(tmp_path / "whole", name), state(tmp_path / "broken", name)
        for key in whole:
            # Threads add up in an order of their own.
            torch.testing.assert_close(whole[key], broken[key], rtol=1e-3, atol=1e-5)
    assert any((start[key] - value).abs().max() > 1e-3 for key, value in state(tmp_path / "whole", "unet").items())
    rows = list(csv.DictReader(open(tmp_path / "broken" / "curve.csv")))
    assert [r["step"] for r in rows] == ["0", "1", "2", "3"]
    assert (tmp_path / "broken" / "curve.png").stat().st_size > 1000
    assert len(json.loads((tmp_path / "broken" / "run.json").read_text())["sittings"]) == 2
    done = command("train-unet", *few(pack, tiny, tmp_path / "broken", "--through", "codec"), check=False)
    assert done.returncode == 1 and "was made by train-unet --through both" in done.stderr


def test_a_terminated_run_leaves_a_checkpoint(pack, tiny, tmp_path):
    arguments = [sys.executable, HERE, "train-unet", *few(pack, tiny, tmp_path / "run", "--through", "codec")]
    # In a group of its own: a terminal interrupts the data's workers too.
    run = subprocess.Popen(map(str, arguments), stdout=subprocess.PIPE, text=True, start_new_session=True)
    while not run.stdout.readline().startswith("step 1 "):
        assert run.poll() is None
    started = time.monotonic()
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(60) == 0 and time.monotonic() - started < 30
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] >= 2


def test_what_is_exported_is_read_by_diffusers_and_is_what_was_trained(pack, tiny, tmp_path):
    photos = tmp_path / "validation"
    photos.mkdir()
    Image.fromarray(photograph(9)).save(photos / "9.png")
    command("train-unet", *few(pack, tiny, tmp_path / "run", "--steps", 2, "--validation", photos))
    assert "degraded features/bicubic" in (tmp_path / "run" / "curve.csv").read_text()
    out = tmp_path / "model"
    command("export", "--init", tiny, "--unet", tmp_path / "run", "--out", out, "--name", "x")
    exported = {
        "unet": UNet2DModel.from_pretrained(out / "unet", low_cpu_mem_usage=False),
        "vae": AutoencoderKL.from_pretrained(out / "vqvae", low_cpu_mem_usage=False),
    }
    for name, network in exported.items():
        trained = state(tmp_path / "run", name)
        for key, weight in network.state_dict().items():
            # f16 keeps 11 bits.
            torch.testing.assert_close(weight.float(), trained[key], rtol=2**-11, atol=1e-6)
    card = (out / "README.md").read_text()
    assert card.startswith("# x: model card") and "1 CC0" in card and "to step 2" in card
    assert json.loads((out / "minkds.json").read_text())["name"] == "x"

    # A mean with what it began from.
    command("export", "--init", tiny, "--unet", tmp_path / "run", "--out", tmp_path / "mean", "--keep", 0.25)
    mean = UNet2DModel.from_pretrained(tmp_path / "mean" / "unet", low_cpu_mem_usage=False).state_dict()
    start = read_unet(tiny).state_dict()
    for key, weight in mean.items():
        wanted = 0.25 * start[key] + 0.75 * state(tmp_path / "run", "unet")[key]
        torch.testing.assert_close(weight.float(), wanted, rtol=2**-10, atol=1e-6)
    assert "0.25 of the weights are those of minkds-photo" in (tmp_path / "mean" / "README.md").read_text()
    # On from there, in all stages of the autoencoder.
    for stage in ("decoder", "encoder", "finetune"):
        more = ("--steps", 1, "--stage", stage, "--unet", out, "--validation", photos)
        command("train-vae", *few(pack, out, tmp_path / stage, *more))
    command("export", "--init", out, "--vae", tmp_path / "encoder", "--out", out)
    again = AutoencoderKL.from_pretrained(out / "vqvae", low_cpu_mem_usage=False).state_dict()
    before = exported["vae"].state_dict()
    changed = {key.partition(".")[0] for key in before if not torch.equal(again[key], before[key])}
    assert changed == {"encoder", "quant_conv"}


def test_a_new_network_learns_latents(pack, tiny, tmp_path):
    """It begins without knowing anything: an error like that of saying nothing, which falls at once."""
    more = ("--steps", 80, "--every", 79, "--scratch", "--through", "latents", "--teacher", "--rate", 0.005)
    command("train-unet", *few(pack, tiny, tmp_path / "run", *more))
    errors = [float(row["latents"]) for row in csv.DictReader(open(tmp_path / "run" / "curve.csv"))]
    # A running mean over fifty steps.
    assert len(errors) == 2 and errors[-1] < 0.9 * errors[0]


def test_a_network_that_says_something_else_is_refused(pack, tiny, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tiny, other)
    write_json(other / "scheduler" / "scheduler_config.json", SCHEDULER | {"prediction_type": "epsilon"})
    done = command("train-unet", *few(pack, other, tmp_path / "run"), check=False)
    assert done.returncode == 1 and "its UNet says epsilon" in done.stderr


def test_the_teacher_enlarges_better_than_bicubic():
    """By 2.9 dB on this photograph; were anything read or ordered wrongly, it would be far worse."""
    photo = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None].float() / 127.5 - 1
    small = fix.reduce_4x(photo)
    assert psnr(Teacher()(small), photo) > psnr(fix.enlarge_4x(small), photo) + 2.5


def test_what_is_likely_is_what_the_latents_are_on_average():
    """Latents scattered around the guess as a normal distribution: what a state tells of them is known (Bayes)."""
    chance = torch.Generator().manual_seed(0)
    guess, spread = torch.full((2, 1, 400, 400), 0.7), 1.3
    latents = guess + spread * torch.randn(guess.shape, generator=chance)
    for top in (199, 599, 999):
        t = torch.full((2,), top)
        alpha, sigma = (v.mean().item() for v in sampler.levels(t, latents))
        x = alpha * latents + sigma * torch.randn(latents.shape, generator=chance)
        said = likely(latents, guess, x, t)
        mean = guess + alpha * spread**2 / (alpha**2 * spread**2 + sigma**2) * (x - alpha * guess)
        # Of what the state does not tell, a share of sigma squared is taken away; a little comes back, as the spread
        # is measured on 25 places.
        remains = (said - mean).square().mean() / (latents - mean).square().mean()
        assert abs(remains.item() - (1 - sigma**2) ** 2) < 0.03
        # On average the answer stays: the difference from the latents has nothing in it that the state would tell.
        change = (said - latents) * (x - alpha * guess)
        assert abs(change.mean().item()) < 0.02


def test_parts_of_a_batch_give_the_gradients_of_the_whole():
    machine, chance = Machine(0), torch.Generator().manual_seed(0)
    machine.parts = 2
    weight = torch.randn(3, generator=chance).requires_grad_(True)
    batch = [torch.randn(5, 3, generator=chance), torch.randn(5, generator=chance)]

    draws = []

    def loss_of(x, y, chance, common):
        draws.append([torch.rand((), generator=each).item() for each in (chance, common)])
        loss = (x @ weight - y).square().mean()
        return loss, {"loss": loss}

    (gradient,), parts = machine.gradients(loss_of, batch, [weight], chance)
    (own, common), (others, same) = draws
    assert own != others and common == same != own
    whole, _ = loss_of(*batch, chance, chance)
    torch.testing.assert_close(gradient, torch.autograd.grad(whole, weight)[0])
    assert abs(parts["loss"] - whole.item()) < 1e-5


def test_muon_makes_all_directions_count_alike():
    """Against the singular value decomposition; the iteration is meant to end near one, not at it."""
    matrices = torch.randn(3, 8, 72, generator=torch.Generator().manual_seed(0))
    for given in (matrices, matrices.mT.contiguous()):
        made = orthogonal(given)
        values = torch.linalg.svdvals(made)
        assert values.min() > 0.6 and values.max() < 1.3
        u, _, v = torch.linalg.svd(given, full_matrices=False)
        cosine = torch.cosine_similarity(made.flatten(1), (u @ v).flatten(1))
        assert cosine.min() > 0.97


def test_nothing_but_a_model_is_replaced(tiny, tmp_path):
    (tmp_path / "photo.jpg").write_text("precious")
    done = command("export", "--init", tiny, "--out", tmp_path, check=False)
    assert done.returncode == 1 and "no model folder" in done.stderr
    assert (tmp_path / "photo.jpg").exists()


def test_a_run_that_fails_ends(pack, tiny, tmp_path):
    """Its data's workers do not keep it."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "curve.csv").mkdir()
    arguments = [sys.executable, HERE, "train-unet", *few(pack, tiny, tmp_path / "run", "--through", "codec")]
    assert subprocess.run(map(str, arguments), stderr=subprocess.DEVNULL, timeout=120).returncode


def test_bad_input_gets_one_message(tiny, tmp_path):
    done = command("train-unet", *few(tmp_path / "none.zip", tiny, tmp_path / "run"), check=False)
    assert done.returncode == 1 and done.stderr.startswith("error: There is no pack at")
    shares = ("--steered", 0.5, "--drafts", 0.6)
    done = command("train-unet", *few(tmp_path / "none.zip", tiny, tmp_path / "run", *shares), check=False)
    assert done.returncode == 1 and "together at most 1" in done.stderr
    done = command("export", "--init", tmp_path, "--out", tmp_path / "out", check=False)
    assert done.returncode == 1 and "holds no scheduler" in done.stderr
    model = shutil.copytree(tiny, tmp_path / "model")
    (model / "minkds.json").unlink()
    done = command("export", "--init", model, "--out", tmp_path / "out", check=False)
    assert done.returncode == 1 and "holds no minkds.json" in done.stderr
    shutil.rmtree(model)
    done = command("prepare", tmp_path, "--out", tmp_path / "pack.zip", check=False)
    assert done.returncode == 1 and "no photographs" in done.stderr
    assert not (tmp_path / "pack.zip").exists()


def test_crops_depend_on_their_number_alone(pack):
    crops = Crops(Pack(pack), 64, seed=3)
    first, again = crops[7], Crops(Pack(pack), 64, seed=3)[7]
    assert all(torch.equal(a, b) for a, b in zip(first[:2], again[:2])) and first[2] == again[2]
    assert first[0].shape == (3, 64, 64) and first[1].shape == (3, 16, 16)
    assert not torch.equal(first[0], crops[8][0])


def test_what_is_said_to_be_clean_is(pack):
    crops = Crops(Pack(pack), 64, seed=3)
    pictures = [crops[i] for i in range(120)]
    kinds = {degrade.ANY: [], degrade.CLEAN: []}
    for large, small, told in pictures:
        flawless = torch.tensor(degrade.clean(large.permute(1, 2, 0).numpy())).permute(2, 0, 1)
        kinds[told].append(torch.equal(small, flawless))
    assert all(kinds[degrade.CLEAN]) and len(kinds[degrade.CLEAN]) > 10
    # Of what nothing is said about, a part is clean all the same.
    assert 5 < sum(kinds[degrade.ANY]) < len(kinds[degrade.ANY]) - 15


def test_a_unet_that_was_never_told_anything_says_what_it_did(tiny):
    chance = torch.Generator().manual_seed(0)
    x, small = (torch.randn(2, channels, 8, 8, generator=chance) for channels in (8, 3))
    t, told = torch.tensor([999, 199]), torch.tensor([degrade.ANY, degrade.CLEAN])
    with torch.no_grad():
        before = UNet2DModel.from_pretrained(tiny / "unet", low_cpu_mem_usage=False)
        before = before(torch.cat([x, small], 1), t).sample
        unet = read_unet(tiny)
        torch.testing.assert_close(sampler.predict(unet, x, small, told, t), before)
        unet.class_embedding.weight[degrade.CLEAN] += 1
        same = (sampler.predict(unet, x, small, told, t) == before).flatten(1).all(1)
    assert same.tolist() == [True, False]


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


def test_a_codec_is_fitted_to_a_pack(pack, tmp_path):
    command("fit-codec", "--pack", pack, "--crops", 4, "--channels", 4, "--name", "y", "--out", tmp_path / "codec")
    latents = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    codec = Codec.of_model(tmp_path / "codec")
    torch.testing.assert_close(codec.encode(codec.decode(latents)), latents, rtol=0, atol=1e-3)


def test_the_colour_fix_believes_what_the_program_does():
    """The program's tests compare with the same file."""
    arrays = load_file(HERE.parents[1] / "tests" / "fixtures" / "color.safetensors")
    reduced, small, wanted = (arrays[name].permute(2, 0, 1)[None] * 2 - 1 for name in ("reduced", "input", "believed"))
    # Sums of 25 products, in another order than where the file was made.
    torch.testing.assert_close(fix.believed(reduced, small), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("spread", [0, 0.5, 1, 2])
def test_pairs_are_judged_by_the_ranked_probability_score(spread):
    chance = torch.Generator().manual_seed(0)
    originals = torch.randn(10**6, generator=chance)
    drafts = spread * torch.randn(2 * 10**6, generator=chance)
    # Of normal distributions (Gneiting and Raftery, 2007, equation 21), on average over the originals: least at 1.
    wanted = (2 / torch.pi * (1 + spread**2)) ** 0.5 - spread / torch.pi**0.5
    # Five standard deviations of such a mean.
    assert abs(score(drafts, originals.repeat_interleave(2), spread=1) - wanted) < 0.005
    assert spread == 1 or wanted > 2 / torch.pi**0.5 - 1 / torch.pi**0.5


def test_grain_is_what_all_cells_of_a_picture_have_in_common():
    cell = torch.tensor([[[1.0, -1.0, 0.0, 0.0]]]).expand(1, 3, 4, 4)
    pattern = cell.repeat(2, 1, 32, 32).requires_grad_()
    loss = grain(pattern)
    torch.testing.assert_close(loss.item(), 0.5**0.5)
    # Not what is the same at every pixel, nor what differs from cell to cell but for chance: 1024 cells.
    chance = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(grain(pattern + 1).item(), 0.5**0.5)
    assert grain(chance) < 1.2 / 32
    assert torch.autograd.grad(loss, pattern)[0].isfinite().all()
    assert torch.autograd.grad(grain(0 * pattern), pattern)[0].isfinite().all()


def test_the_colour_fix_has_gradients_everywhere():
    for small in (torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8), torch.rand(1, 3, 8, 8) * 2 - 1):
        drawn = fix.enlarge_4x(small).requires_grad_(True)
        fix.robust(drawn, small).square().mean().backward()
        assert drawn.grad.isfinite().all()


def test_the_walk_is_diffusers_ddim():
    scheduler = DDIMScheduler.from_config(SCHEDULER)
    scheduler.set_timesteps(6)
    unet = lambda x, t, class_labels: type("Output", (), {"sample": torch.tanh(x[:, :8] + x[:, 8:9]) * (t / 500)[:, None, None, None]})  # noqa: E731, E501
    generator = torch.Generator().manual_seed(1)
    small = torch.randn(2, 3, 8, 8, generator=generator)
    noise = torch.randn(2, 8, 8, 8, generator=generator)
    x, told = noise, torch.zeros(2, dtype=torch.long)
    for t in scheduler.timesteps:
        v = sampler.predict(unet, x, small, told, t.expand(2))
        x = scheduler.step(v, t, x).prev_sample
    # Rounding in a different order, grown by six steps.
    torch.testing.assert_close(sampler.walk(unet, small, told, noise, sampler.whole_path(6)), x, rtol=1e-4, atol=1e-4)


def test_steering_needs_recommended_settings(pack, tiny, tmp_path):
    model = shutil.copytree(tiny, tmp_path / "model")
    told = json.loads((model / "minkds.json").read_text())
    del told["settings"]["bandwidth"]
    write_json(model / "minkds.json", told)
    done = command("train-unet", *few(pack, model, tmp_path / "run", "--steered", 0.5), check=False)
    assert done.returncode == 1 and "recommends no bandwidth" in done.stderr


def test_particles_are_steered_as_by_the_program():
    """The program's tests compare with the same file."""
    fixtures = HERE.parents[1] / "tests" / "fixtures"
    arrays = load_file(fixtures / "kds.safetensors")
    cases = [c for c in json.loads((fixtures / "kds.json").read_text())["mean_shift"] if c["kernel"] == "gaussian"]
    assert len(cases) > 10
    for case in cases:
        particles, shift = arrays[case["x"]], arrays[case["m"]]
        steered = Steering(len(particles), case["bandwidth"], case["patch_size"], 0.5)
        # Two pictures, the second's particles in another order.
        both = steered(torch.cat([particles, particles.flip(0)]))
        wanted = torch.cat([particles + 0.5 * shift, particles.flip(0) + 0.5 * shift.flip(0)])
        # f32 against f64: rounding of the values, which one case has in thousands.
        torch.testing.assert_close(both, wanted, rtol=1e-5, atol=1e-5 * particles.abs().max().item())
