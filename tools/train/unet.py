"""Trains the UNet: half of each batch as diffusion does, half on what its own sampler runs into."""

import torch
import torch.nn.functional as F

from codec import Codec
from data import Crops, Pack, centre_crops
from degrade import realistic
from networks import clip_and_step, decode, new_unet, read_unet, read_vae
from perceptual import PictureLoss, enlarge_4x, psnr
from run import Average, Machine, Run
from sampler import denoised, noised, predict, shift, timesteps, velocity, walk


class Sampled:
    """What the sampler runs into: from noise, a chance number of its own steps on, steered every other time.

    Steered, the batch is particles of one picture, with the settings that the model recommends.
    """

    def __init__(self, steps=5, gamma=0.3, bandwidth=11.3, patch=4):
        self.steps, self.gamma, self.bandwidth, self.patch = steps, gamma, bandwidth, patch

    def steer(self, clean):
        return self.gamma * shift(clean, self.bandwidth, self.patch)

    def states(self, unet, small, steered, chance):
        """`small` [B, 3, h, w] -> states [B, 8, h, w] and their timesteps [B]."""
        done = int(torch.randint(self.steps, (), generator=chance))
        shape = (len(small), unet.config.out_channels, *small.shape[2:])
        noise = torch.randn(shape, generator=chance).to(small.device)
        x = walk(unet, small, noise, self.steps, done, self.steer if steered else None)
        return x, torch.full((len(x),), timesteps(self.steps)[done], device=x.device)


class Judge:
    """Samples the validation crops, clean and degraded, and says how far they are from the originals."""

    def __init__(self, folder, machine, loss, side=128):
        import numpy as np

        self.large, self.clean = (a.to(machine.device) for a in centre_crops(folder, side))
        rng, bytes_ = np.random.default_rng(7), ((self.large + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
        degraded = np.stack([realistic(picture.cpu().numpy(), rng) for picture in bytes_])
        self.degraded = torch.from_numpy(degraded).permute(0, 3, 1, 2).float().to(machine.device) / 127.5 - 1
        self.distance, self.noise = loss.distance, None

    @torch.no_grad()
    def __call__(self, unet, draw, steps):
        """PSNR, and the feature distance as a share of bicubic's, for one sample of each crop."""
        chance = torch.Generator().manual_seed(7)
        result = {}
        for name, small in (("clean", self.clean), ("degraded", self.degraded)):
            noise = torch.randn(len(small), unet.config.out_channels, *small.shape[2:], generator=chance)
            drawn = draw(walk(unet, small, noise.to(small.device), steps)).clamp(-1, 1)
            bicubic = enlarge_4x(small).clamp(-1, 1)
            far = self.distance(drawn, self.large).mean() / self.distance(bicubic, self.large).mean()
            result[f"{name} psnr"] = psnr(drawn, self.large)
            result[f"{name} features/bicubic"] = far.item()
        return result


def train(args):
    machine, pack = Machine(args.seed), Pack(args.pack)
    codec = Codec.of_model(args.init).to(machine.device)
    unet = machine.placed(new_unet() if args.scratch else read_unet(args.init))
    average = Average(unet, args.average)
    vae = machine.placed(read_vae(args.decoder or args.init)).requires_grad_(False).eval()
    loss_of = machine.placed(PictureLoss(features=args.features))
    optimizer = torch.optim.AdamW(unet.parameters(), lr=args.rate, betas=(0.9, 0.99), weight_decay=1e-4)
    state = {"unet": unet, "average": average, "optimizer": optimizer}
    run = Run(args, state, machine, pack.licences)
    draw = {"decoder": lambda z: decode(vae, z), "codec": codec.decode}[args.through]
    judge = Judge(args.validation, machine, loss_of) if args.validation else None
    crops = Crops(pack, args.crop, args.seed)
    batches = crops.batches(args.batch, run.step * args.batch, machine.workers)
    sampled, half = Sampled(args.sampler_steps), args.batch // 2
    network = machine.compiled(unet)
    means = {}

    for step in run.sitting(optimizer):
        large, small = (a.to(machine.device) for a in next(batches))
        chance = torch.Generator().manual_seed(args.seed * 1_000_003 + step)
        steered = bool(torch.rand((), generator=chance) < 0.5)
        if steered:
            large[half:], small[half:] = large[half:][:1], small[half:][:1]
        latents = codec.encode(large)
        with machine.autocast():
            x, t = sampled.states(unet, small[half:], steered, chance)
            noise = torch.randn(latents[:half].shape, generator=chance).to(latents.device)
            times = torch.randint(1000, (half,), generator=chance).to(latents.device)
            x = torch.cat([noised(latents[:half], noise, times), x])
            t = torch.cat([times, t])
            v = predict(network, x, small, t).float()
            clean = denoised(x, v, t)
            if steered:
                clean = torch.cat([clean[:half], clean[half:] + sampled.steer(clean[half:])])
            drawn = draw(clean).float()
        picture, parts = loss_of(drawn, large if args.through == "decoder" else codec.decode(latents))
        wrong = F.mse_loss(v[:half], velocity(latents[:half], noise, times))
        clip_and_step(optimizer, picture + wrong)
        average.update(unet)
        for name, value in {"velocity": wrong, **parts}.items():
            means[name] = 0.98 * means.get(name, value.item()) + 0.02 * value.item()
        if step % args.every == 0:
            run.log({**means, **(judge(average.network, draw, args.sampler_steps) if judge else {})})
