"""The two networks, in diffusers' classes: new, or read from a model folder."""

from diffusers import AutoencoderKL, UNet2DModel

LATENT_CHANNELS = 8


def new_unet():
    """30 GFLOP for one evaluation at 128 x 128."""
    channels = (48, 96, 144)
    return UNet2DModel(
        sample_size=32,
        in_channels=3 + LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=channels,
        down_block_types=("DownBlock2D",) * len(channels),
        up_block_types=("UpBlock2D",) * len(channels),
        norm_num_groups=16,
        layers_per_block=2,
        add_attention=False,
    )


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
    return UNet2DModel.from_pretrained(model / "unet", low_cpu_mem_usage=False).float()


def read_vae(model):
    return AutoencoderKL.from_pretrained(model / "vqvae", low_cpu_mem_usage=False).float()


def decode(vae, latents, decoder=None):
    """Latents [B, 8, H, W] -> pictures [B, 3, 4H, 4W], not clamped. `decoder` stands for the autoencoder's own."""
    return (decoder or vae.decoder)(vae.post_quant_conv(latents))


def parameters(*parts):
    return [p for part in parts for p in part.parameters()]
