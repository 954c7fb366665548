"""Trains the UNet: to find clean latents under noise, as diffusion does, and by the pictures that come of it."""

import torch
import torch.nn.functional as F

from codec import Codec
from data import Crops, Pack, validation_crops
from fix import enlarge_4x, reduce_4x, robust
from networks import decode, new_unet, parameters, read_unet, read_vae
from perceptual import FeatureDistance, PictureLoss, grain, psnr
from run import Average, Machine, Run, UserError
from sampler import TRAIN_STEPS, levels, noised, predict, step, timesteps, walk, whole_path
from steering import Steering
from teacher import Teacher


# Of the batches whose pictures are drafts, the share in which these are two of each picture. The others show twice as
# many pictures for the same work; what lies between drafts counts the more where it is seen.
PAIRED = 0.4
# How many steps the runs have whose last one is judged; mostly few, as the program takes them.
STEPS = (3, 4, 5, 5, 5, 5, 6, 15)
# The share of these runs that end anywhere, lest only these numbers of steps are known.
ELSEWHERE = 0.25
# Where last steps lead to timestep 0, which is not without noise: of 6 and 15 steps, as diffusers counts.
ABOVE_ZERO = {t for steps in STEPS for t, following in whole_path(steps)[-1:] if following == 0}


def plain(latents, chance):
    """Latents noised as diffusion does: states, and their timesteps [B], about a quarter of them at the very top.

    There all is decided from the small picture alone, which is most of what there is to learn.
    """
    t = 30 + 970 * torch.rand(len(latents), generator=chance)
    t[torch.rand(len(t), generator=chance) < 0.25] = TRAIN_STEPS - 1
    t = t.long().to(latents.device)
    return noised(latents, normal(latents, chance), t), t


def reached(unet, latents, small, told, chance, machine):
    """Late states, at the last 600 timesteps, reached by one step of the sampler from further up; their timesteps.

    They have the network's own errors in them, and yet the true picture. Whole runs of the sampler would teach it to
    trust nothing in a state, and that makes all particles alike.
    """
    t = 20 + 580 * torch.rand(len(latents), generator=chance)
    above = (t + 50 + 350 * torch.rand(len(latents), generator=chance)).long().to(latents.device)
    t = t.long().to(latents.device)
    with torch.no_grad(), machine.autocast():
        higher = noised(latents, normal(latents, chance), above)
        return step(higher, predict(unet, higher, small, told, above).float(), above, t), t


def run_down(unet, latents, small, told, chance, common, machine, drafts, steered=lambda clean: clean):
    """States before the last step of runs of the sampler, by `drafts` of each picture; and their timesteps.

    Drafts of a picture stand side by side, and know nothing of each other unless they are `steered`, as in `walk`.
    How many steps a run has is drawn from `common`, and where its last one begins: mostly where the program's does.
    """
    steps = STEPS[torch.randint(len(STEPS), (), generator=common)]
    end = timesteps(steps)[-1]
    if torch.rand((), generator=common) < ELSEWHERE:
        end = 20 + int(280 * torch.rand((), generator=common))
    path = torch.linspace(TRAIN_STEPS - 1, end, steps).round().long().tolist()
    latents, small, told = (x.repeat_interleave(drafts, 0) for x in (latents, small, told))
    with machine.autocast():
        x = walk(unet, small, told, normal(latents, chance), zip(path, path[1:]), steered)
    return x, torch.full((len(x),), end, device=x.device)


def last_step(x, clean, t):
    """What is decoded at the end of a run whose last step is from states `x` at `t`."""
    above = torch.tensor([end in ABOVE_ZERO for end in t.tolist()], device=x.device)[:, None, None, None]
    return torch.where(above, step(x, clean, t, torch.zeros_like(t)), clean)


def steered_to(unet, steering, *batch):
    """As `run_down`, one of each picture's steered particles.

    What the particles do not agree on is gone from it, so that the network can tell it from others, and learns to draw
    its best there. Whole runs that are not steered would teach it to trust nothing in a state at all.
    """
    return (each[:: steering.particles] for each in run_down(unet, *batch, steering.particles, steering))


def normal(like, chance):
    return torch.randn(like.shape, generator=chance).to(like.device)


def error(clean, latents, t, importance):
    """Squared, weighted as v-prediction does (Salimans and Ho, 2022), up to five times."""
    _, sigma = levels(t, latents)
    return (importance * (clean - latents).square() / sigma.square().clamp(min=0.2)).mean()


def likely(latents, guess, x, t):
    """What to say of states `x` at `t`: the latents they come from, less what nobody can know of them.

    `guess` is what a teacher makes of the small picture, to which Wiener's filter adds what it finds in the state; how
    much the guess misses there is taken from a neighbourhood, as textures differ a thousandfold. On average that is the
    same answer as the latents', with far less chance in it. Down where little is unknown they are told themselves.
    """
    alpha, sigma = levels(t, x)
    unknown = F.avg_pool2d((latents - guess).square(), 5, stride=1, padding=2, count_include_pad=False)
    found = guess + alpha * unknown / (alpha**2 * unknown + sigma**2) * (x - alpha * guess)
    return latents.lerp(found, sigma**2)


class Judge:
    """Samples the validation crops, clean and degraded, and says how far they are from the originals."""

    def __init__(self, folder, machine, side=128):
        self.large, self.small = validation_crops(folder, machine.device, side)
        self.distance = machine.placed(FeatureDistance())
        self.bicubic = {name: self.far(enlarge_4x(small).clamp(-1, 1)) for name, (small, _) in self.small.items()}

    @torch.no_grad()
    def far(self, drawn):
        """The mean feature distance to the originals."""
        return self.distance(drawn, self.large).mean().item()

    @torch.no_grad()
    def __call__(self, unet, vae, steps):
        """PSNR, and the feature distance as a share of bicubic's, for one sample of each crop.

        `gain`: by how many dB the mean of two samples is better than one, which is what steering has to work with.
        `grain`: what of the sample's error is the same in every 4 x 4 pixels, in steps of 255.
        """
        chance = torch.Generator().manual_seed(7)
        result = {}
        for name, (small, told) in self.small.items():
            one, other = (self.drawn(unet, vae, small, told, steps, chance) for _ in range(2))
            result[f"{name} psnr"] = psnr(one, self.large)
            result[f"{name} gain"] = psnr((one + other) / 2, self.large) - result[f"{name} psnr"]
            result[f"{name} features/bicubic"] = self.far(one) / self.bicubic[name]
            result[f"{name} grain"] = 127.5 * grain(one - self.large).item()
        return result

    def drawn(self, unet, vae, small, told, steps, chance):
        noise = torch.randn(len(small), unet.config.out_channels, *small.shape[2:], generator=chance)
        return robust(decode(vae, walk(unet, small, told, noise.to(small.device), whole_path(steps))), small)


def train(args):
    if args.drafts + args.steered > 1:
        raise UserError("--drafts and --steered are shares of the same pictures: together at most 1.")
    machine, pack = Machine(args.seed), Pack(args.pack)
    codec = Codec.of_model(args.init).to(machine.device)
    steering = Steering.of_model(args.init) if args.steered else None
    teacher = machine.placed(Teacher()) if args.teacher else None
    unet = machine.placed(new_unet() if args.scratch else read_unet(args.init))
    vae = machine.placed(read_vae(args.decoder or args.init)).requires_grad_(False)
    trained = {"unet": unet}
    if args.through == "both":
        trained["vae"] = vae
        for part in (vae.decoder, vae.post_quant_conv):
            part.requires_grad_(True)
    averages = {name: Average(network, args.average) for name, network in trained.items()}
    weights = [w for w in parameters(unet, vae) if w.requires_grad]
    state = trained | {f"{name} average": average for name, average in averages.items()}
    run = Run(args, f"train-unet --through {args.through}", state, weights, machine, pack.licences)
    unet.save_config(args.run / "unet")
    judge = Judge(args.validation, machine) if args.validation else None
    importance = codec.importance()
    network, decoder = machine.compiled(unet), machine.compiled(vae.decoder)
    draw = codec.decode if args.through == "codec" else lambda z: decode(vae, z, decoder)
    loss_of_pictures = None
    if args.through != "latents":
        loss_of_pictures = machine.placed(PictureLoss(pixels=args.pixels, features=args.features))

    def late_states(latents, small, told, chance, common):
        """States to judge pictures at, and their timesteps; and how many drafts of each picture stand side by side.

        Pairs are of half of the pictures, so that as many are drawn in every step; so are steered ones, which cost.
        """
        which = torch.rand((), generator=common)
        paired = which < PAIRED * args.drafts
        steered = args.drafts <= which < args.drafts + args.steered
        kept = max(1, len(latents) // 2) if paired or steered else len(latents)
        batch = [each[:kept] for each in (latents, small, told)]
        drafts = 2 if paired else 1
        if which < args.drafts:
            return *run_down(network, *batch, chance, common, machine, drafts), drafts
        if steered:
            return *steered_to(network, steering, *batch, chance, common, machine), drafts
        return *reached(network, *batch, chance, machine), drafts

    def loss_of(large, small, told, chance, common):
        # Two thirds of each batch or more are for pictures, if these are judged.
        first = max(1, len(large) // 3) if loss_of_pictures else len(large)
        latents = codec.encode(large)
        x, t = plain(latents[:first], chance)
        wanted = latents[:first]
        if teacher:
            wanted = likely(wanted, codec.encode(teacher(reduce_4x(large[:first]))), x, t)
        if loss_of_pictures:
            *late, drafts = late_states(latents[first:], small[first:], told[first:], chance, common)
            x, t = (torch.cat(pair) for pair in zip((x, t), late))
            kept = len(x[first:]) // drafts
            shown = lambda a: torch.cat([a[:first], a[first : first + kept].repeat_interleave(drafts, 0)])  # noqa: E731
            latents, large, small, told = (shown(a) for a in (latents, large, small, told))
        with machine.autocast():
            clean = predict(network, x, small, told, t).float()
        loss = error(clean[:first], wanted, t[:first], importance)
        parts = {"latents": loss}
        if loss_of_pictures:
            ends = last_step(x[first:], clean[first:], t[first:])
            with machine.autocast():
                drawn = draw(ends).float()
            target = codec.decode(latents[first:]) if args.through == "codec" else large[first:]
            spread = args.spread / PAIRED if drafts == 2 else 0
            picture, more = loss_of_pictures(drawn, small[first:], target, spread)
            loss, parts = loss + picture, parts | more
        return loss, parts

    def judged():
        mean_of = {"vae": vae} | {name: average.network for name, average in averages.items()}
        return judge(mean_of["unet"], mean_of["vae"], args.sampler_steps) if judge else {}

    followed = [(average, trained[name]) for name, average in averages.items()]
    run.learn(Crops(pack, args.crop, args.seed), loss_of, followed, judged)
