//! What can go wrong with pictures. Each message says what is wrong, with which file, and what to
//! do.

use std::io;
use std::path::PathBuf;

use super::{Format, Kind, MAX_PIXELS, MAX_SIDE, WriteError};

/// An error of [`decode`](super::decode), [`encode`](super::encode) or [`Format`].
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("cannot read {}: {problem}", path.display())]
    Decode {
        path: PathBuf,
        problem: DecodeProblem,
    },

    #[error(
        "cannot tell the picture format of {}: its name must end in {}; rename the output",
        path.display(),
        Format::ENDINGS
    )]
    UnknownEnding { path: PathBuf },

    #[error(
        "a picture of {width} x {height} pixels does not fit into a {format} file, which holds {}; \
         choose another format (PNG takes any size) or a smaller picture",
        format.capacity()
    )]
    OutputSize {
        format: Format,
        width: usize,
        height: usize,
    },

    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why a file could not be read as a picture, and what helps.
#[derive(Debug, thiserror::Error)]
pub enum DecodeProblem {
    #[error("there is no such file; check its name and folder")]
    Missing,

    #[error("it is a folder; name the pictures inside it instead")]
    Folder,

    #[error("{0}; check that you may read it")]
    Unreadable(io::Error),

    #[error("the file is empty; fetch or export it again")]
    Empty,

    #[error(
        "the file is larger than {limit} bytes, the most that is read; shrink or recompress it first"
    )]
    FileTooLarge { limit: u64 },

    #[error(
        "it is not a picture this program reads (PNG, JPEG, WebP, TIFF, BMP, GIF, JPEG XL); convert it to one of these first"
    )]
    NotAPicture,

    #[error(
        "it is a picture of the {0} format, which is not read; convert it to PNG, TIFF or JPEG first"
    )]
    Foreign(&'static str),

    #[error(
        "the {0} data stops too early, part of the picture is missing; fetch or export the file again"
    )]
    Truncated(Kind),

    #[error("the {kind} data is damaged ({detail}); fetch or export the file again")]
    Corrupt { kind: Kind, detail: String },

    #[error(
        "it claims to have {width} x {height} pixels, so there is nothing to enlarge; export it again"
    )]
    NoPixels { width: u32, height: u32 },

    #[error(
        "it claims to have {width} x {height} pixels; at most {MAX_SIDE} a side and {MAX_PIXELS} in all are read; \
         crop or shrink it first"
    )]
    TooLarge { width: u32, height: u32 },

    #[error("its colours are CMYK, meant for printing; convert it to RGB first")]
    Cmyk,

    #[error(
        "it is a picture of high dynamic range, with {0} values; convert it to standard range first (Display P3 \
         or sRGB, 8 or 16 bits a channel)"
    )]
    Hdr(&'static str),

    #[error("its values are floating point numbers; convert it to 8 or 16 bits a channel first")]
    Float,

    #[error(
        "this sort of {kind} is not read ({detail}); convert it to 8- or 16-bit RGB or grey first"
    )]
    Unsupported { kind: Kind, detail: String },
}
