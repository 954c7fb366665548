"""Trains the autoencoder on the codec's latents: the decoder from true ones, or on what the sampler makes."""

import torch
import torch.nn.functional as F

from codec import Codec
from data import Crops, Pack, centre_crops
from fix import reduce_4x
from networks import decode, new_vae, parameters, read_unet, read_vae
from perceptual import PictureLoss, psnr
from run import Average, Machine, Run, UserError
from sampler import walk, whole_path
from unet import Judge

TRAINED = {
    "decoder": ("decoder", "post_quant_conv"),
    "encoder": ("encoder", "quant_conv"),
    "finetune": ("decoder", "post_quant_conv"),
}


def train(args):
    if args.stage == "finetune" and not args.unet:
        raise UserError("--stage finetune needs --unet: the model folder whose UNet samples the latents.")
    machine, pack = Machine(args.seed), Pack(args.pack)
    codec = Codec.of_model(args.init).to(machine.device)
    vae = machine.placed(new_vae() if args.scratch else read_vae(args.init)).requires_grad_(False)
    weights = parameters(*(getattr(vae, name) for name in TRAINED[args.stage]))
    for weight in weights:
        weight.requires_grad_(True)
    average = Average(vae, args.average)
    state = {"vae": vae, "vae average": average}
    run = Run(args, f"train-vae --stage {args.stage}", state, weights, machine, pack.licences)
    task = {"decoder": Decoding, "encoder": Encoding, "finetune": Finetuning}[args.stage](args, machine, codec, vae)
    judged = lambda: task.judged(average.network)  # noqa: E731
    run.learn(Crops(pack, args.crop, args.seed), task.loss, [(average, vae)], judged)


class Decoding:
    """From the true latents, with a little noise, so that small errors of the UNet do no harm."""

    def __init__(self, args, machine, codec, vae):
        self.machine, self.codec, self.vae = machine, codec, vae
        self.loss_of = machine.placed(PictureLoss(features=args.features))
        self.large = centre_crops(args.validation, 128)[0].to(machine.device) if args.validation else None

    def loss(self, large, small, told, chance, common):
        latents = self.codec.encode(large)
        noise = torch.randn(latents.shape, generator=chance) * torch.rand(len(large), 1, 1, 1, generator=chance)
        with self.machine.autocast():
            drawn = decode(self.vae, latents + 0.15 * noise.to(self.machine.device)).float()
        # Against the original's own reduction: nothing of what the latents say is to be left to the colour fix.
        return self.loss_of(drawn, reduce_4x(large), large)

    @torch.no_grad()
    def judged(self, vae):
        if self.large is None:
            return {}
        drawn = decode(vae, self.codec.encode(self.large)).clamp(-1, 1)
        features = self.loss_of.distance(drawn, self.large).mean().item()
        return {"validation psnr": psnr(drawn, self.large), "validation features": features}


class Encoding:
    """Teaches the encoder the codec's latents; enlarging never uses it, but it makes the model whole."""

    def __init__(self, args, machine, codec, vae):
        self.machine, self.codec, self.vae = machine, codec, vae

    def loss(self, large, small, told, chance, common):
        channels = self.codec.weight.shape[1]
        with self.machine.autocast():
            moments = self.vae.quant_conv(self.vae.encoder(large)).float()
        latents = F.mse_loss(moments[:, :channels], self.codec.encode(large))
        # A log-variance of -10: a point.
        return latents + 1e-3 * (moments[:, channels:] + 10).square().mean(), {"latents": latents}

    def judged(self, vae):
        return {}


class Finetuning:
    """On the sampler's own latents for three quarters of each batch, on true ones for the rest."""

    def __init__(self, args, machine, codec, vae):
        self.machine, self.codec, self.vae, self.steps = machine, codec, vae, args.sampler_steps
        self.unet = machine.placed(read_unet(args.unet)).requires_grad_(False).eval()
        self.loss_of = machine.placed(PictureLoss(features=args.features))
        self.judge = Judge(args.validation, machine) if args.validation else None

    def loss(self, large, small, told, chance, common):
        true = self.codec.encode(large)
        count = len(true) - len(true) // 4
        noise = torch.randn(true[:count].shape, generator=chance).to(self.machine.device)
        with self.machine.autocast():
            sampled = walk(self.unet, small[:count], told[:count], noise, whole_path(self.steps)).float()
            # True latents keep the decoder honest: what is in the latents stays in the picture.
            drawn = decode(self.vae, torch.cat([sampled, true[count:]])).float()
        return self.loss_of(drawn, small, large)

    def judged(self, vae):
        return self.judge(self.unet, vae, self.steps) if self.judge else {}
