"""Trains the UNet: a part of each batch as diffusion does, the rest on what its own sampler runs into."""

import torch
import torch.nn.functional as F

from codec import Codec
from data import Crops, Pack, centre_crops
from degrade import realistic
from fix import robust
from networks import clip_and_step, decode, new_unet, parameters, read_unet, read_vae
from perceptual import FeatureDistance, PictureLoss, enlarge_4x, psnr
from run import Average, Machine, Run
from sampler import denoised, noised, path_to, predict, shift, timesteps, velocity, walk, whole_path


class Sampled:
    """States that the sampler runs into: from noise, a chance number of steps on, now and then steered.

    Steered, the batch is particles of one picture, with the settings that the model recommends. The last step makes
    the picture, so it comes up as often as all others together. Where many steps would be made, four that go as far
    stand for them.
    """

    STEPS = (5, 5, 5, 8, 10, 15)
    STEERED = 0.4

    def __init__(self, gamma=0.3, bandwidth=11.3, patch=4):
        self.gamma, self.bandwidth, self.patch = gamma, bandwidth, patch

    def steer(self, clean):
        return self.gamma * shift(clean, self.bandwidth, self.patch)

    def states(self, unet, small, steered, chance):
        """`small` [B, 3, h, w] -> states [B, 8, h, w] and their timesteps [B]."""
        below = lambda n: int(torch.randint(n, (), generator=chance))  # noqa: E731
        steps = self.STEPS[below(len(self.STEPS))]
        done = min(below(2 * steps - 2), steps - 1)
        t = timesteps(steps)[done]
        shape = (len(small), unet.config.out_channels, *small.shape[2:])
        noise = torch.randn(shape, generator=chance).to(small.device)
        x = walk(unet, small, noise, path_to(t, min(done, 4)), self.steer if steered else None)
        return x, torch.full((len(x),), t, device=x.device)


class Judge:
    """Samples the validation crops, clean and degraded, and says how far they are from the originals."""

    def __init__(self, folder, machine, side=128):
        import numpy as np

        self.large, self.clean = (a.to(machine.device) for a in centre_crops(folder, side))
        rng, bytes_ = np.random.default_rng(7), ((self.large + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
        degraded = np.stack([realistic(picture.cpu().numpy(), rng) for picture in bytes_])
        self.degraded = torch.from_numpy(degraded).permute(0, 3, 1, 2).float().to(machine.device) / 127.5 - 1
        self.distance = machine.placed(FeatureDistance())

    @torch.no_grad()
    def __call__(self, unet, draw, steps):
        """PSNR, and the feature distance as a share of bicubic's, for one sample of each crop."""
        chance = torch.Generator().manual_seed(7)
        result = {}
        for name, small in (("clean", self.clean), ("degraded", self.degraded)):
            noise = torch.randn(len(small), unet.config.out_channels, *small.shape[2:], generator=chance)
            drawn = robust(draw(walk(unet, small, noise.to(small.device), whole_path(steps))), small)
            bicubic = enlarge_4x(small).clamp(-1, 1)
            far = self.distance(drawn, self.large).mean() / self.distance(bicubic, self.large).mean()
            result[f"{name} psnr"] = psnr(drawn, self.large)
            result[f"{name} features/bicubic"] = far.item()
        return result


def train(args):
    machine, pack = Machine(args.seed), Pack(args.pack)
    codec = Codec.of_model(args.init).to(machine.device)
    unet = machine.placed(new_unet() if args.scratch else read_unet(args.init))
    vae = machine.placed(read_vae(args.decoder or args.init)).requires_grad_(False)
    trained = {"average": unet}
    if args.through == "both":
        trained["vae average"] = vae
        for part in (vae.decoder, vae.post_quant_conv):
            part.requires_grad_(True)
    averages = {name: Average(network, args.average) for name, network in trained.items()}
    weights = [w for w in parameters(unet, vae) if w.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=args.rate, betas=(0.9, 0.99), weight_decay=1e-4)
    run = Run(args, {"unet": unet, "vae": vae, "optimizer": optimizer, **averages}, machine, pack.licences)
    judge = Judge(args.validation, machine) if args.validation else None
    loss_of = machine.placed(PictureLoss(features=args.features))
    crops = Crops(pack, args.crop, args.seed)
    batches = crops.batches(args.batch, run.step * args.batch, machine.workers)
    sampled, plain = Sampled(), args.batch // 4
    network = machine.compiled(unet)
    drawing = codec.decode if args.through == "codec" else lambda z: decode(vae, z)
    means = {}

    for step in run.sitting(optimizer):
        large, small = (a.to(machine.device) for a in next(batches))
        chance = torch.Generator().manual_seed(args.seed * 1_000_003 + step)
        steered = bool(torch.rand((), generator=chance) < sampled.STEERED)
        if steered:
            large[plain:], small[plain:] = large[plain:][:1], small[plain:][:1]
        latents = codec.encode(large)
        with machine.autocast():
            x, t = sampled.states(unet, small[plain:], steered, chance)
            noise = torch.randn(latents[:plain].shape, generator=chance).to(latents.device)
            times = torch.randint(1000, (plain,), generator=chance).to(latents.device)
            x = torch.cat([noised(latents[:plain], noise, times), x])
            t = torch.cat([times, t])
            v = predict(network, x, small, t).float()
            clean = denoised(x, v, t)[plain:]
            if steered:
                clean = clean + sampled.steer(clean)
            drawn = drawing(clean).float()
        drawn = robust(drawn, small[plain:])
        wanted = codec.decode(latents[plain:]) if args.through == "codec" else large[plain:]
        picture, parts = loss_of(drawn, wanted)
        wrong = F.mse_loss(v[:plain], velocity(latents[:plain], noise, times))
        clip_and_step(optimizer, picture + wrong)
        for name, average in averages.items():
            average.update(trained[name])
        for name, value in {"velocity": wrong, **parts}.items():
            means[name] = 0.98 * means.get(name, value.item()) + 0.02 * value.item()
        if step % args.every == 0:
            mean_of = {name: average.network for name, average in averages.items()}
            judged = {}
            if judge:
                judged_vae = mean_of.get("vae average", vae)
                judged = judge(mean_of["average"], lambda z: decode(judged_vae, z), args.sampler_steps)
            run.log({**means, **judged})
