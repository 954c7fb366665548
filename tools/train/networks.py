"""The two networks, in diffusers' classes: new, or read from a model folder."""

import json

import torch
from diffusers import AutoencoderKL, UNet2DModel
from torch import nn

from run import UserError

LATENT_CHANNELS = 8
# What a UNet may be told of a small picture: see degrade.py.
CLASSES = 2


def new_unet(channels=64, layers=4):
    """A UNet that begins, and largely is, an EDSR (Lim et al., 2017): 34 GFLOP for one evaluation at 128 x 128.

    One level, as enlarging is decided nearby, and no normalisation to speak of: levels and contrasts of a picture are
    what a normalised network loses. diffusers' UNet always has group norms; here they have one group and an epsilon
    far above any variance, so that they only scale, by two at first (SiLU is nearly linear on what is small).
    """
    unet = UNet2DModel(
        sample_size=32,
        in_channels=3 + LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(channels,),
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
        norm_num_groups=1,
        norm_eps=100.0,
        layers_per_block=layers,
        add_attention=False,
        resnet_time_scale_shift="scale_shift",
        num_class_embeds=CLASSES,
    )
    with torch.no_grad():
        for name, module in unet.named_modules():
            if isinstance(module, nn.GroupNorm):
                module.weight.fill_(2 * unet.config.norm_eps**0.5)
            elif name.endswith("conv2"):
                module.weight.mul_(0.2)
            elif name.endswith("conv_shortcut"):
                # What comes from below passes; what comes over the skip must be asked for.
                module.weight.copy_(torch.eye(*module.weight.shape[:2])[:, :, None, None])
                module.bias.zero_()
        unet.class_embedding.weight.zero_()
        # The picture counts more than the noise, and at first nothing is known.
        unet.conv_in.weight[:, LATENT_CHANNELS:].mul_(4)
        unet.conv_out.weight.mul_(0.3)
    return unet


def new_vae():
    channels = (24, 48, 96)
    return AutoencoderKL(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        layers_per_block=1,
        mid_block_add_attention=False,
        sample_size=128,
        scaling_factor=1.0,
    )


def read_unet(model):
    """The UNet of a model folder, which must say the clean latents."""
    try:
        schedule = json.loads((model / "scheduler" / "scheduler_config.json").read_text())
    except (OSError, ValueError):
        raise UserError(f"{model} holds no scheduler/scheduler_config.json: name a model folder.") from None
    said = schedule.get("prediction_type", "epsilon")
    if said != "sample":
        raise UserError(f"{model}: its UNet says {said}; here it is to say sample: use --scratch.")
    unet = UNet2DModel.from_pretrained(model / "unet", low_cpu_mem_usage=False).float()
    return unet if unet.config.num_class_embeds else listening(unet)


def listening(unet):
    """A UNet that has not been told anything of small pictures, so that it can be; it does not listen yet."""
    other = UNet2DModel.from_config({**unet.config, "num_class_embeds": CLASSES})
    with torch.no_grad():
        other.class_embedding.weight.zero_()
    other.load_state_dict({**other.state_dict(), **unet.state_dict()})
    return other


def read_vae(model):
    return AutoencoderKL.from_pretrained(model / "vqvae", low_cpu_mem_usage=False).float()


def decode(vae, latents, decoder=None):
    """Latents [B, 8, H, W] -> pictures [B, 3, 4H, 4W], not clamped. `decoder` stands for the autoencoder's own."""
    return (decoder or vae.decoder)(vae.post_quant_conv(latents))


def parameters(*parts):
    return [p for part in parts for p in part.parameters()]
