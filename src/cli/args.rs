//! The command line's words.

use std::path::PathBuf;
use std::str::FromStr;

use bytesize::ByteSize;
use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::device::{DeviceChoice, Precision};
use crate::image_io::QUALITIES;
use crate::job::{OnConflict, Shard};
use crate::settings::{Patch, Preset, range};

/// Enlarges photos four times with latent diffusion, steered towards what several drafts agree on
///
/// Several drafts ("particles") of the same picture are drawn together. At every step each small
/// square of each draft is moved towards where the drafts agree (Kernel Density Steering), so that
/// invented details fade and shared structure stays.
#[derive(Debug, Parser)]
#[command(name = "minkds", version, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Pictures to enlarge: files, folders, patterns such as "**/*.jpg", or - for a list on standard input
    ///
    /// PNG, JPEG, WebP, TIFF, BMP, GIF and JPEG XL are read; without --no-gui a window opens them. A folder stands for its
    /// pictures; what is hidden or no picture by its name is left out and counted, and so is the output folder.
    pub inputs: Vec<PathBuf>,

    /// Work without a window
    #[arg(long)]
    pub no_gui: bool,

    /// Where results go: a file for one picture, a folder for several, or a pattern
    ///
    /// The ending chooses the format: .png, .jpg, .webp or .tif. Without -o the result lies beside
    /// its input as {stem}_x4.{ext}. Below a folder lies the same tree as below the folders that were named. A
    /// pattern such as "out/{dir}/{stem}.png" may hold, in braces, stem, dir, ext, n (the number in the list) and seed.
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,

    /// If the result's file exists already; an explicit file is replaced, else it is an error
    #[arg(long, value_enum)]
    pub on_conflict: Option<OnConflict>,

    /// The model: a folder in diffusers' layout or a hub name; the bundled one if left out
    ///
    /// A hub name such as CompVis/ldm-super-resolution-4x-openimages is looked up in the local
    /// Hugging Face cache, else downloaded.
    #[arg(long, value_name = "DIR-or-HUB-NAME")]
    pub model: Option<String>,

    /// What computes: auto, cpu, gpu[:N], gpu:all or cuda[:N]
    ///
    /// auto takes what `minkds doctor` recommended, else the first graphics card that computes rightly,
    /// else the processor. `minkds devices` lists the numbers. Each card is examined once. With gpu:all every
    /// card takes pictures from one queue.
    #[arg(long, default_value = "auto", value_parser = DeviceChoice::from_str)]
    pub device: DeviceChoice,

    /// The precision of the networks
    ///
    /// auto is f16 where the card has it, computes rightly in it, and is not slower.
    #[arg(long, value_enum, default_value_t)]
    pub precision: Precision,

    /// A named set of settings; single flags still override it
    #[arg(long, value_enum)]
    pub preset: Option<Preset>,

    #[command(flatten)]
    pub settings: Patch,

    /// Start from the noise in this safetensors file instead of the seed's
    ///
    /// It holds one array "latents" of shape [N, C, H, W] in f32, H and W being the input's size
    /// rounded up to what the network needs. The check against the input is off then.
    #[arg(long, value_name = "FILE", help_heading = "For research")]
    pub latents: Option<PathBuf>,

    /// Write the final latents of all versions to this safetensors file
    ///
    /// The metadata entry "selected" is the decoded version's index, -1 for "mean" and "all".
    #[arg(long, value_name = "FILE", help_heading = "For research")]
    pub save_latents: Option<PathBuf>,

    /// Write the result even if it does not resemble the input
    ///
    /// Normally a result that is black, flat, or, reduced four times, far from the input is refused.
    #[arg(long, help_heading = "For research")]
    pub no_check: bool,

    /// Most memory to use, such as 4GiB; what the machine has free if left out
    #[arg(long, value_name = "SIZE", value_parser = memory_size, allow_hyphen_values = true, help_heading = "Resources")]
    pub memory_limit: Option<u64>,

    /// Processor threads to use; all of them if left out
    #[arg(long, value_name = "N", value_parser = threads, allow_hyphen_values = true, help_heading = "Resources")]
    pub threads: Option<usize>,

    #[command(flatten)]
    pub writing: Writing,

    #[command(flatten)]
    pub batch: Batch,

    /// Say nothing but errors
    #[arg(short, long, overrides_with = "verbose")]
    pub quiet: bool,

    /// Say more: what computes with which settings, and how long each picture took
    #[arg(short, long, overrides_with = "quiet")]
    pub verbose: bool,

    /// Take settings from this TOML file, whose keys are these flags' names
    ///
    /// What the command line says comes first, then variables such as MINKDS_STEPS, then this file, then
    /// what the model recommends.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How results are written.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Writing")]
pub struct Writing {
    /// Quality of JPEG (95 if left out) and WebP (lossless if left out), 1 to 100
    #[arg(long, value_name = "Q", value_parser = quality, allow_hyphen_values = true)]
    pub quality: Option<u8>,

    /// Write none of the input's EXIF, XMP and IPTC; colour profile and resolution stay
    #[arg(long)]
    pub strip_metadata: bool,

    /// Do not write into the result how it was made
    ///
    /// Normally settings, seed, model and version stand in the result's metadata, with IPTC's mark for pictures
    /// that were enhanced by an algorithm; --recreate reads them.
    #[arg(long)]
    pub no_provenance: bool,

    /// Make this result again from its input, with everything as it says itself
    #[arg(long, value_name = "OLD")]
    pub recreate: Option<PathBuf>,
}

/// What concerns many pictures.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Batches")]
pub struct Batch {
    /// Enter the folders within folders
    #[arg(short, long)]
    pub recursive: bool,

    /// Names in the list on standard input end in NUL bytes, as `find -print0` writes them
    #[arg(short = '0', long)]
    pub null: bool,

    /// Leave results alone that a run before has finished, as its journal knows; this is the default
    #[arg(long, overrides_with = "no_resume")]
    pub resume: bool,

    /// Heed no journal: every picture is enlarged, and --on-conflict decides about results that exist
    #[arg(long, overrides_with = "resume")]
    pub no_resume: bool,

    /// Replace results that were made with other settings
    #[arg(long)]
    pub force: bool,

    /// Begin nothing more after a failure
    #[arg(long)]
    pub fail_fast: bool,

    /// Take only part I of N of all pictures, for N machines with the same list
    #[arg(long, value_name = "I/N", value_parser = Shard::from_str)]
    pub shard: Option<Shard>,

    /// Only list what would be done, with estimated time and memory
    #[arg(long)]
    pub dry_run: bool,

    /// Write what became of each picture to this JSON file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Tell what happens on standard output, as lines of JSON
    #[arg(long)]
    pub json: bool,
}

/// What else the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the devices that can compute
    Devices,
    /// Examine and time every device, recommend one, and save a report
    ///
    /// Each device computes the bundled network and this program's operations in each precision it has;
    /// the results are compared with the processor's. What comes out is remembered for --device auto.
    Doctor(Doctor),
    /// Mix a finished result anew with the plain enlargement of its input
    ///
    /// What --strength does in a run, without the run.
    Blend(Blend),
    /// Print a script with which a shell completes this program's words
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page, or write all pages into a folder
    Man {
        /// The folder
        #[arg(short, long, value_name = "FOLDER")]
        output: Option<PathBuf>,
    },
}

/// The mixer's words.
#[derive(Debug, clap::Args)]
pub struct Blend {
    /// A result of strength 1
    pub result: PathBuf,

    /// The picture that it was made from
    pub input: PathBuf,

    /// How much of the result, the rest being the plain enlargement, 0 to 1
    #[arg(long, value_name = "X", allow_hyphen_values = true,
          value_parser = |s: &str| range::STRENGTH.parse(s))]
    pub strength: f64,

    /// Where the mixture goes; a file there is replaced
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,

    /// Quality of JPEG (95 if left out) and WebP (lossless if left out), 1 to 100
    #[arg(long, value_name = "Q", value_parser = quality, allow_hyphen_values = true)]
    pub quality: Option<u8>,
}

/// The doctor's words.
#[derive(Debug, clap::Args)]
pub struct Doctor {
    /// Where the report goes, to be attached to a bug; the user's cache folder if left out
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Examine software adapters too, which takes a while
    #[arg(long)]
    pub software: bool,

    /// Examine one device, and print the verdict: what the program asks of a copy of itself
    #[arg(long, hide = true, value_parser = DeviceChoice::from_str)]
    pub examine: Option<DeviceChoice>,

    /// The precision for --examine
    #[arg(long, hide = true, value_enum, default_value_t)]
    pub precision: Precision,
}

fn memory_size(text: &str) -> Result<u64, String> {
    match text.parse::<ByteSize>() {
        Ok(size) if size.as_u64() > 0 => Ok(size.as_u64()),
        _ => Err("use a size such as 800MB or 4GiB".into()),
    }
}

fn quality(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(quality) if QUALITIES.contains(&quality) => Ok(quality),
        _ => Err("use a whole number from 1 to 100".into()),
    }
}

/// More threads than this are a slip of the finger.
const MAX_THREADS: usize = 1024;

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=MAX_THREADS).contains(&n) => Ok(n),
        _ => Err(format!("use a whole number from 1 to {MAX_THREADS}")),
    }
}
