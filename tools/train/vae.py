"""Trains the autoencoder on the codec's latents: the decoder from true ones, or on what the sampler makes."""

import torch
import torch.nn.functional as F

from codec import Codec
from data import Crops, Pack, centre_crops
from fix import robust
from networks import clip_and_step, decode, new_vae, parameters, read_unet, read_vae
from perceptual import PictureLoss, psnr
from run import Average, Machine, Run, UserError
from sampler import walk, whole_path
from unet import Judge


def train(args):
    stages = {"decoder": train_decoder, "encoder": train_encoder, "finetune": finetune_decoder}
    stages[args.stage](args)


def start(args, trained):
    """What the stages share: machine, codec, autoencoder, its average, optimizer and run."""
    machine, pack = Machine(args.seed), Pack(args.pack)
    codec = Codec.of_model(args.init).to(machine.device)
    vae = machine.placed(new_vae() if args.scratch else read_vae(args.init)).requires_grad_(False)
    weights = parameters(*(getattr(vae, name) for name in trained))
    for weight in weights:
        weight.requires_grad_(True)
    average = Average(vae, args.average)
    optimizer = torch.optim.AdamW(weights, lr=args.rate, betas=(0.9, 0.99), weight_decay=1e-4)
    state = {"vae": vae, "average": average, "optimizer": optimizer}
    run = Run(args, state, machine, pack.licences)
    crops = Crops(pack, args.crop, args.seed)
    batches = crops.batches(args.batch, run.step * args.batch, machine.workers)
    return machine, codec, vae, average, optimizer, run, batches


def train_decoder(args):
    """From the true latents, with a little noise, so that small errors of the UNet do no harm."""
    machine, codec, vae, average, optimizer, run, batches = start(args, ("decoder", "post_quant_conv"))
    loss_of = machine.placed(PictureLoss(reduced=0.0, features=args.features))
    large = centre_crops(args.validation, 128)[0].to(machine.device) if args.validation else None
    for step in run.sitting(optimizer):
        wanted = next(batches)[0].to(machine.device)
        chance = torch.Generator().manual_seed(args.seed * 1_000_003 + step)
        latents = codec.encode(wanted)
        noise = torch.randn(latents.shape, generator=chance) * torch.rand(len(wanted), 1, 1, 1, generator=chance)
        with machine.autocast():
            drawn = decode(vae, latents + 0.15 * noise.to(machine.device)).float()
        loss, parts = loss_of(drawn, wanted)
        clip_and_step(optimizer, loss)
        average.update(vae)
        if step % args.every == 0:
            values = {name: part.item() for name, part in parts.items()}
            if large is not None:
                with torch.no_grad():
                    drawn = decode(average.network, codec.encode(large)).clamp(-1, 1)
                values |= {"validation psnr": psnr(drawn, large)}
                values |= {"validation features": loss_of.distance(drawn, large).mean().item()}
            run.log(values)


def train_encoder(args):
    """Teaches the encoder the codec's latents; enlarging never uses it, but it makes the model whole."""
    machine, codec, vae, average, optimizer, run, batches = start(args, ("encoder", "quant_conv"))
    channels = codec.weight.shape[1]
    for step in run.sitting(optimizer):
        large = next(batches)[0].to(machine.device)
        with machine.autocast():
            moments = vae.quant_conv(vae.encoder(large)).float()
        latents = F.mse_loss(moments[:, :channels], codec.encode(large))
        # A log-variance of -10: a point.
        loss = latents + 1e-3 * (moments[:, channels:] + 10).square().mean()
        clip_and_step(optimizer, loss)
        average.update(vae)
        if step % args.every == 0:
            run.log({"latents": latents.item()})


def finetune_decoder(args):
    """On the sampler's own latents for half of each batch, on true ones for the rest."""
    if not args.unet:
        raise UserError("--stage finetune needs --unet: the model folder whose UNet samples the latents.")
    machine, codec, vae, average, optimizer, run, batches = start(args, ("decoder", "post_quant_conv"))
    unet = machine.placed(read_unet(args.unet)).requires_grad_(False).eval()
    loss_of = machine.placed(PictureLoss(features=args.features))
    judge = Judge(args.validation, machine) if args.validation else None
    half, means = args.batch // 2, {}
    for step in run.sitting(optimizer):
        wanted, small = (a.to(machine.device) for a in next(batches))
        chance = torch.Generator().manual_seed(args.seed * 1_000_003 + step)
        noise = torch.randn(len(small), codec.weight.shape[1], *small.shape[2:], generator=chance)
        with machine.autocast():
            latents = walk(unet, small, noise.to(machine.device), whole_path(args.sampler_steps)).float()
            # True latents keep the decoder honest: what is in the latents stays in the picture.
            latents = torch.cat([latents[:half], codec.encode(wanted[half:])])
            drawn = robust(decode(vae, latents).float(), small)
        loss, parts = loss_of(drawn, wanted)
        clip_and_step(optimizer, loss)
        average.update(vae)
        for name, part in parts.items():
            means[name] = 0.98 * means.get(name, part.item()) + 0.02 * part.item()
        if step % args.every == 0:
            run.log({**means, **(judge(unet, lambda z: decode(average.network, z), args.sampler_steps) if judge else {})})
