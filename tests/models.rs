//! Every network of the family equals diffusers' layer by layer, on tiny models with random weights.

mod common;

use burn::tensor::Device;
use common::{Arrays, assert_close, fixture, read};
use minkds::model::{
    Autoencoder, AutoencoderConfig, Norms, Scope, UNet2DModel, UNetConfig, Weights,
};

/// f32 sums in another order, amplified by up to twenty layers of normalisation; a wrong epsilon,
/// padding or order of operations is off by 1e-3 or more.
const TOLERANCE: f32 = 1e-4;

fn config(model: &str, part: &str) -> serde_json::Map<String, serde_json::Value> {
    let path = fixture(&format!("models/{model}/{part}/config.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn load<T>(model: &str, part: &str, build: impl FnOnce(&Scope) -> T) -> T {
    let folder = fixture(&format!("models/{model}/{part}"));
    let weights = Weights::open(&folder, &Device::flex()).unwrap();
    let network = build(&weights.root());
    weights.finish().unwrap();
    network
}

fn check_unet(model: &str, reference: &Arrays) {
    let path = fixture(&format!("models/{model}/unet/config.json"));
    let config = UNetConfig::from_json(&path, config(model, "unet")).unwrap();
    let unet = load(model, "unet", |scope| UNet2DModel::load(scope, config));
    let sample = reference.tensor::<4>("unet.sample", &Device::flex());
    let timestep = reference.values("unet.timestep")[0] as usize;
    let clean = reference.values("unet.class_label")[0] == 1.0;
    let mut seen = 0;
    let output = unet.forward_traced(sample, timestep, clean, |stage, state| {
        let name = format!("unet.{stage}");
        let mut want = reference.values(&name);
        let got = read(state.clone());
        if stage == "time_embedding" {
            // One row for the whole batch, where diffusers repeats it.
            want = &want[..got.len()];
        }
        assert_close(&got, want, TOLERANCE, &format!("{model}: {stage}"));
        seen += 1;
    });
    assert!(seen >= 7, "{model}: {seen} stages compared");
    let (got, want) = (read(output), reference.values("unet.output"));
    assert_close(&got, want, TOLERANCE, &format!("{model}: unet output"));
}

fn check_vqvae(model: &str, reference: &Arrays) {
    let path = fixture(&format!("models/{model}/vqvae/config.json"));
    let config = AutoencoderConfig::from_json(&path, config(model, "vqvae")).unwrap();
    let vqvae = load(model, "vqvae", |scope| Autoencoder::load(scope, config));
    let device = Device::flex();
    let config = vqvae.config();
    // The reference holds the autoencoder's own latents; this program's are in the UNet's scale.
    let (scale, shift) = match config.kind {
        Some(minkds::model::AutoencoderKind::Kl) => {
            (config.scaling_factor, config.shift_factor.unwrap_or(0.0))
        }
        _ => (1.0, 0.0),
    };
    let latents = (reference.tensor::<4>("vqvae.latents", &device) - shift) * scale;
    let decoded = vqvae.decode_traced(latents, &Norms::own(), |stage, state| {
        let name = format!("vqvae.{stage}");
        assert_close(
            &read(state.clone()),
            reference.values(&name),
            TOLERANCE,
            &format!("{model}: {stage}"),
        );
    });
    assert_close(
        &read(decoded),
        reference.values("vqvae.decode"),
        TOLERANCE,
        &format!("{model}: decode"),
    );
    let encoded = vqvae.encode(reference.tensor("vqvae.image", &device)) / scale + shift;
    assert_close(
        &read(encoded),
        reference.values("vqvae.encode"),
        TOLERANCE,
        &format!("{model}: encode"),
    );
}

fn check(model: &str, reference_of: &str) {
    let reference = Arrays::read(&fixture(&format!(
        "models/{reference_of}/reference.safetensors"
    )));
    check_unet(model, &reference);
    if reference.has("vqvae.latents") {
        check_vqvae(model, &reference);
    }
}

#[test]
fn ldm_sr_in_small() {
    check("ldm-like", "ldm-like");
}

#[test]
fn attention_names_of_2022_as_1x1_convolutions_in_a_bin_file() {
    check("old-names", "ldm-like");
}

#[test]
fn half_precision_bin_files() {
    check("half-bin", "half-bin");
}

#[test]
fn scale_shift_and_every_other_unet_option() {
    check("scale-shift", "scale-shift");
}

#[test]
fn sampling_by_residual_blocks_and_attention_without_a_norm() {
    check("resnet-sampling", "resnet-sampling");
}

#[test]
fn the_bundled_models_shape() {
    check("kl-like-bundled", "kl-like-bundled");
}

#[test]
fn codes_smaller_than_latents() {
    check("lookup", "lookup");
}
