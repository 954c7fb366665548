//! minkds: enlarges photos four times with latent diffusion, under Kernel Density Steering.
//!
//! A photo becomes a bigger photo in one direction: [`image_io`] reads it, [`pipeline`] draws
//! several particles with a [`model`] and a [`scheduler`], [`kds`] steers them towards agreement at
//! every step, one is chosen, decoded and checked, and [`image_io`] writes it. [`job`] does this for
//! a list of files; [`cli`] and [`app`], the command line and the window, are the two doors to it. [`device`] opens graphics cards and
//! [`doctor`] knows which of them compute rightly.

pub mod app;
pub mod cli;
pub mod device;
pub mod doctor;
pub mod error;
pub mod image_io;
pub mod job;
pub mod kds;
pub mod model;
pub mod noise;
pub mod ops;
pub mod pipeline;
pub mod scheduler;
pub mod settings;
