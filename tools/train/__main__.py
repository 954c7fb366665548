"""Makes the bundled model: see README.md beside this file.

    python tools/train prepare FOLDER --out PACK
    python tools/train train-unet --pack PACK --run FOLDER --minutes 60
    python tools/train export --unet FOLDER --out MODEL
"""

import argparse
import sys
from pathlib import Path

from run import UserError

HERE = Path(__file__).resolve().parent
BUNDLED = HERE.parents[1] / "assets" / "model"


def main():
    parser = argparse.ArgumentParser("tools/train", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("prepare", help="photographs -> a training pack of at most 60 MiB")
    command.add_argument("folder", type=Path)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--licences", type=Path, help="CSV of file (or pattern), source, licence")
    command.add_argument("--side", type=whole, default=1280, help="longest side in pixels")
    command.add_argument("--quality", type=whole, default=90, help="of WebP, for what is made smaller")
    command.set_defaults(run_command=prepare)

    command = commands.add_parser("fit-codec", help="a new codec from a pack, to start from with --scratch")
    command.add_argument("--pack", type=Path, required=True)
    command.add_argument("--init", type=Path, default=BUNDLED, help="model folder whose settings are kept")
    command.add_argument("--name", required=True, help="the new model's name")
    command.add_argument("--channels", type=whole, default=8)
    command.add_argument("--crops", type=whole, default=1000, help="of 128 x 128, to learn from")
    command.add_argument("--out", type=Path, required=True)
    command.set_defaults(run_command=fit_codec)

    command = commands.add_parser("train-vae", help="decoder from the codec's latents, encoder, or fine-tuning")
    training(command, rate=2e-4)
    command.add_argument("--stage", choices=("decoder", "encoder", "finetune"), default="decoder")
    command.add_argument("--unet", type=Path, help="model whose UNet samples latents (finetune)")
    command.set_defaults(run_command=train_vae)

    command = commands.add_parser("train-unet", help="by diffusion and by pictures, the decoder along with it")
    training(command, rate=4e-4)
    command.add_argument("--through", choices=("latents", "codec", "decoder", "both"), default="both",
                         help="what draws the pictures that are judged: nothing (the latents alone are, which is\n"
                              "quickest), the linear codec, the decoder, or the decoder while it learns too")  # fmt: skip
    command.add_argument("--decoder", type=Path, help="model whose decoder that is (default: of --init)")
    command.add_argument("--teacher", action="store_true",
                         help="of the latents only what SPAN knows from the undegraded small picture")  # fmt: skip
    command.add_argument("--steered", type=share, default=0.0, metavar="SHARE",
                         help="share of the pictures that are judged where steered particles end (0)")  # fmt: skip
    command.add_argument("--drafts", type=share, default=0.0, metavar="SHARE",
                         help="share judged where drafts end, of pairs by how they differ, too (0)")  # fmt: skip
    command.add_argument("--spread", type=float, default=1.0,
                         help="weight of what lies between two drafts, to that of the score that is least where they\n"
                              "differ as the original does from them; features pull them together (1)")  # fmt: skip
    command.add_argument("--pixels", type=float, default=2.0, help="weight of the error of pixels (2)")
    command.set_defaults(run_command=train_unet)

    command = commands.add_parser("export", help="checkpoints -> a model folder in f16")
    command.add_argument("--unet", type=Path, help="run of train-unet, and of the decoder if it learnt too\n"
                                                   "(default: the networks of --init)")  # fmt: skip
    command.add_argument("--vae", type=Path, help="run of train-vae (default: that of --unet, else of --init)")
    command.add_argument("--init", type=Path, default=BUNDLED, help="model folder for everything else")
    command.add_argument("--keep", type=share, default=0.0,
                         help="share of --init's weights in what is written, below 1 (0)")  # fmt: skip
    command.add_argument("--name", help="the model's name (default: that of --init)")
    command.add_argument("--out", type=Path, required=True)
    command.set_defaults(run_command=export)

    for name, words in (
        ("validate", "enlarges pictures with the program and compares: tables, sheets, bars"),
        ("pictures", "collects a second set of pictures from packages"),
    ):
        command = commands.add_parser(name, help=words)
        if name in sys.argv[1:2]:
            __import__(name).add_arguments(command)

    args = parser.parse_args()
    try:
        args.run_command(args)
    except UserError as error:
        sys.exit(f"error: {error}")


def training(command, rate):
    """What every training command is told."""
    add = command.add_argument
    add("--pack", type=Path, required=True, help="from `prepare`")
    add("--run", type=Path, required=True, help="folder of checkpoint and curves; an existing run goes on")
    add("--minutes", type=above_0, required=True, help="length of this sitting")
    add("--steps", type=whole, help="ends the run at this step")
    add("--anneal", action="store_true", help="lets the learning rate fall to nothing within this sitting")
    add("--init", type=Path, default=BUNDLED, help="model folder to start from (default: the bundled model)")
    add("--scratch", action="store_true", help="new weights; only the codec comes from --init")
    add("--validation", type=Path, help="folder of large pictures, judged now and then")
    add("--rate", type=above_0, default=rate, help=f"learning rate ({rate})")
    add("--crop", type=sixteens, default=96, help="side of the large crops, a multiple of 16 (96)")
    add("--batch", type=several, default=8, help="crops in a step, at least 2 (8)")
    add("--features", type=float, default=2.0, help="weight of the feature distance (2)")
    add("--sampler-steps", type=whole, default=5, help="of the samples that are judged (and in finetune learnt from)")
    add("--average", type=float, default=0.999, help="decay of the average that is shipped (0.999)")
    add("--every", type=whole, default=200, help="steps between lines of the curves (200)")
    add("--seed", type=int, default=0)


def above_0(text):
    return checked(float(text), lambda v: v > 0, "above 0")


def share(text):
    return checked(float(text), lambda v: 0 <= v < 1, "at least 0 and below 1")


def whole(text):
    return checked(int(text), lambda v: v > 0, "a whole number above 0")


def several(text):
    return checked(int(text), lambda v: v > 1, "a whole number above 1")


def sixteens(text):
    return checked(int(text), lambda v: v > 0 and v % 16 == 0, "a multiple of 16")


def checked(value, holds, words):
    if not holds(value):
        raise argparse.ArgumentTypeError(f"{value} is not {words}")
    return value


def prepare(args):
    import data

    data.prepare(args.folder, args.out, args.licences, args.side, args.quality)


def fit_codec(args):
    import codec

    codec.fit(args)


def train_vae(args):
    import vae

    vae.train(args)


def train_unet(args):
    import unet

    unet.train(args)


def export(args):
    import export as exporting

    exporting.export(args)


if __name__ == "__main__":
    main()
