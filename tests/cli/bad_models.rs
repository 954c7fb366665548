//! Model folders that are broken, or of a sort that this program does not build.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

use crate::common::fixture;
use crate::program::Room;

const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

pub struct Weight {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// Reads the weights in `folder`, lets `change` have them, and writes them back.
pub fn change_weights(folder: &Path, change: impl FnOnce(&mut BTreeMap<String, Weight>)) {
    let path = folder.join(WEIGHTS);
    let bytes = fs::read(&path).unwrap();
    let mut tensors: BTreeMap<_, _> = SafeTensors::deserialize(&bytes)
        .unwrap()
        .iter()
        .map(|(name, view)| {
            let (dtype, shape, bytes) = (view.dtype(), view.shape().into(), view.data().into());
            (
                name.to_string(),
                Weight {
                    dtype,
                    shape,
                    bytes,
                },
            )
        })
        .collect();
    change(&mut tensors);
    let views = tensors.iter().map(
        |(
            name,
            Weight {
                dtype,
                shape,
                bytes,
            },
        )| { (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()) },
    );
    fs::write(
        path,
        safetensors::serialize(views, None::<HashMap<String, String>>).unwrap(),
    )
    .unwrap();
}

/// `count` times `value` as the bytes of f32.
pub fn floats(count: usize, value: f32) -> Vec<u8> {
    value.to_le_bytes().repeat(count)
}

/// A room with an input and a copy of the small model.
fn room() -> Room {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    room.model("kl-like-bundled");
    room
}

const WORDS: &str = "--no-gui --no-check --steps 2 a.png -o b.png --model model";

/// What every refusal of a model must be: exit code 2, one line that names `file` and has `says`.
#[track_caller]
fn refuses(room: &Room, file: &str, says: &[&str]) {
    let words = [&["minkds: model ", file], says].concat();
    room.refuses(WORDS, 2, &words);
    // Whatever a file claims, it is not believed.
    #[cfg(target_os = "linux")]
    room.refuses_as(
        room.command_under("ulimit -v 4000000", WORDS),
        WORDS,
        2,
        &words,
    );
}

#[test]
fn the_copy_of_the_model_works() {
    let room = room();
    room.succeeds(WORDS);
    change_weights(&room.path("model/unet"), |_| ());
    let first = room.read("b.png");
    room.succeeds(WORDS);
    assert!(room.read("b.png") == first);
}

#[test]
fn folders_that_are_no_models_are_refused() {
    let room = room();
    fs::create_dir(room.path("empty")).unwrap();
    for (model, says) in [
        ("./gone", &["gone", "does not exist", "hub name"][..]),
        ("gone", &["gone", "does not exist"]),
        ("a.png", &["a.png", "is a file"]),
        ("empty", &["empty", "model_index.json"]),
        ("model/unet", &["model/unet", "model_index.json"]),
        ("EMPTY", &["does not exist"]),
    ] {
        room.refuses(&format!("--no-gui a.png -o b.png --model {model}"), 2, says);
    }
}

#[test]
fn missing_files_are_named() {
    for (name, says) in [
        ("model_index.json", "model_index.json"),
        (
            "scheduler/scheduler_config.json",
            "scheduler/scheduler_config.json",
        ),
        ("unet/config.json", "unet/config.json"),
        ("vqvae/config.json", "vqvae/config.json"),
        ("unet/diffusion_pytorch_model.safetensors", "unet: holds no"),
        (
            "vqvae/diffusion_pytorch_model.safetensors",
            "vqvae: holds no",
        ),
    ] {
        let room = room();
        fs::remove_file(room.path("model").join(name)).unwrap();
        refuses(&room, "model", &[says]);
    }
}

#[test]
fn configs_that_are_no_json_objects_are_refused() {
    for name in [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "vqvae/config.json",
        "minkds.json",
    ] {
        let deep = "[".repeat(100_000);
        for text in [
            "",
            "{",
            "[1, 2]",
            "{\"a\": }",
            "no json",
            "\u{0}\u{1}",
            "null",
            &deep,
        ] {
            let room = room();
            room.write(&format!("model/{name}"), text);
            refuses(&room, &format!("model/{name}"), &[]);
        }
    }
    let room = room();
    room.write("model/unet/config.json", vec![b' '; 5 << 20]);
    refuses(&room, "model/unet/config.json", &["5242880 bytes"]);
}

#[test]
fn unsupported_and_impossible_options_are_refused_by_name() {
    let unet = "unet/config.json";
    let vqvae = "vqvae/config.json";
    let scheduler = "scheduler/scheduler_config.json";
    let mut unnamed = Vec::new();
    for (file, key, value) in [
        (
            "model_index.json",
            "_class_name",
            json!("StableDiffusionPipeline"),
        ),
        ("model_index.json", "_class_name", Value::Null),
        (unet, "_class_name", json!("UNet2DConditionModel")),
        (unet, "_class_name", Value::Null),
        (unet, "act_fn", json!("gelu")),
        (unet, "act_fn", json!(3)),
        (unet, "brand_new", json!("option")),
        (
            unet,
            "down_block_types",
            json!(["SkipDownBlock2D", "DownBlock2D", "DownBlock2D"]),
        ),
        (unet, "up_block_types", json!(["UpBlock2D"])),
        (unet, "mid_block_type", json!("UNetMidBlock2DCrossAttn")),
        (unet, "time_embedding_type", json!("fourier")),
        (unet, "resnet_time_scale_shift", json!("ada_group")),
        (unet, "class_embed_type", json!("timestep")),
        (unet, "num_class_embeds", json!(10)),
        (unet, "downsample_padding", json!(2)),
        (unet, "block_out_channels", json!([])),
        (unet, "block_out_channels", json!([0, 0, 0])),
        (
            unet,
            "block_out_channels",
            json!([4, 4, 1_000_000_000_000u64]),
        ),
        (unet, "block_out_channels", json!([-4, 4, 8])),
        (unet, "norm_num_groups", json!(0)),
        (unet, "norm_num_groups", json!(3)),
        (unet, "norm_eps", json!(-1)),
        (unet, "layers_per_block", json!(0)),
        (unet, "layers_per_block", json!(1_000_000_000)),
        (unet, "in_channels", json!(6)),
        (unet, "out_channels", json!(3)),
        (vqvae, "_class_name", json!("AutoencoderTiny")),
        (vqvae, "act_fn", json!("gelu")),
        (vqvae, "brand_new", json!(true)),
        (vqvae, "down_block_types", json!(["AttnDownEncoderBlock2D"])),
        (vqvae, "latents_mean", json!([0, 0, 0, 0, 0, 0, 0, 0])),
        (vqvae, "in_channels", json!(4)),
        (vqvae, "scaling_factor", json!(0)),
        (vqvae, "norm_num_groups", json!(5)),
        (vqvae, "latent_channels", json!(0)),
        (scheduler, "_class_name", json!("EulerDiscreteScheduler")),
        (scheduler, "prediction_type", json!("flow")),
        (scheduler, "beta_schedule", json!("exotic")),
        (scheduler, "timestep_spacing", json!("random")),
        (scheduler, "thresholding", json!(true)),
        (scheduler, "rescale_betas_zero_snr", json!(true)),
        (scheduler, "trained_betas", json!([0.1, 0.2])),
        (scheduler, "num_train_timesteps", json!(0)),
        (scheduler, "num_train_timesteps", json!(10_000_000_000u64)),
        (scheduler, "beta_start", json!(-1)),
        (scheduler, "beta_end", json!(1.5)),
        (scheduler, "brand_new", json!(1)),
        ("minkds.json", "brand_new", json!(1)),
        ("minkds.json", "format", json!(2)),
        ("minkds.json", "settings", json!({"gama": 1})),
        ("minkds.json", "settings", json!({"kernel": "box"})),
        ("minkds.json", "settings", json!({"particles": 99})),
        ("minkds.json", "settings", json!({"eta": -1})),
        (
            "minkds.json",
            "preview",
            json!({"weight": [[1.0]], "bias": [0.0]}),
        ),
    ] {
        let room = room();
        room.write("model/minkds.json", r#"{"format": 1}"#);
        let path = format!("model/{file}");
        let mut config: Value = serde_json::from_slice(&room.read(&path)).unwrap();
        config[key] = value.clone();
        room.write(&path, config.to_string());
        let offender = match (key, &value) {
            ("settings", Value::Object(settings)) => settings.keys().next().unwrap().clone(),
            _ => key.to_string(),
        };
        refuses(&room, &path, &[]);
        let said = room.run(WORDS).stderr;
        if !said.contains(&offender) {
            unnamed.push(format!("{key} {value}: {said}"));
        }
    }
    assert!(
        unnamed.is_empty(),
        "options not named:\n{}",
        unnamed.concat()
    );
}

#[test]
fn keys_that_are_private_or_null_are_no_options() {
    let room = room();
    room.succeeds(WORDS);
    let plain = room.read("b.png");
    for name in [
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "vqvae/config.json",
    ] {
        let path = format!("model/{name}");
        let mut config: Value = serde_json::from_slice(&room.read(&path)).unwrap();
        config["_diffusers_version"] = json!("9.9");
        config["brand_new"] = Value::Null;
        room.write(&path, config.to_string());
        room.succeeds(WORDS);
        assert!(room.read("b.png") == plain, "{name}");
    }
}

#[test]
fn networks_that_do_not_fit_each_other_are_refused() {
    // A two-level autoencoder enlarges by two.
    let room = Room::new();
    room.picture("a.png", 4, 4);
    room.model("lookup");
    refuses(&room, "model/vqvae/config.json", &["2 levels", "needs 3"]);

    let room = self::room();
    fs::remove_dir_all(room.path("model/vqvae")).unwrap();
    let other = fixture("models/ldm-like/vqvae");
    crate::common::copy_folder(&other, &room.path("model/vqvae"));
    refuses(
        &room,
        "model/unet/config.json",
        &["in_channels", "11", "3 latent channels"],
    );
}

#[test]
fn weights_that_do_not_fit_their_config_are_refused() {
    type Change = fn(&mut BTreeMap<String, Weight>);
    let changes: [(Change, &[&str]); 8] = [
        (
            |w| drop(w.remove("conv_in.weight")),
            &["missing conv_in.weight"],
        ),
        (|w| w.clear(), &["missing", "more"]),
        (
            |w| {
                let copy = Weight {
                    dtype: Dtype::F32,
                    shape: vec![1],
                    bytes: floats(1, 0.0),
                };
                w.insert("lora.up.weight".into(), copy);
            },
            &["unexpected lora.up.weight"],
        ),
        (
            |w| w.get_mut("conv_in.weight").unwrap().shape.reverse(),
            &["conv_in.weight", "shape"],
        ),
        (
            |w| {
                let bias = w.get_mut("conv_in.bias").unwrap();
                bias.shape[0] -= 1;
                bias.bytes.truncate(bias.bytes.len() - 4);
            },
            &["conv_in.bias", "[3]", "[4]"],
        ),
        (
            |w| {
                let weight = w.get_mut("conv_in.weight").unwrap();
                weight.bytes.extend(weight.bytes.clone());
                weight.dtype = Dtype::I64;
            },
            &["conv_in.weight", "I64"],
        ),
        (
            |w| {
                let weight = w.get_mut("conv_in.weight").unwrap();
                weight.bytes.extend(weight.bytes.clone());
                weight.dtype = Dtype::F64;
            },
            &["conv_in.weight", "F64"],
        ),
        (
            |w| {
                let weight = w.remove("conv_in.weight").unwrap();
                w.insert("conv_inn.weight".into(), weight);
            },
            &["missing conv_in.weight", "unexpected conv_inn.weight"],
        ),
    ];
    for (change, says) in changes {
        let room = room();
        change_weights(&room.path("model/unet"), change);
        refuses(&room, &format!("model/unet/{WEIGHTS}"), says);
    }
    // The autoencoder's are looked at just as closely.
    let room = room();
    change_weights(&room.path("model/vqvae"), |w| {
        drop(w.remove("decoder.conv_in.weight"))
    });
    refuses(
        &room,
        &format!("model/vqvae/{WEIGHTS}"),
        &["missing decoder.conv_in.weight"],
    );
}

#[test]
fn safetensors_files_that_are_not_whole_are_refused() {
    let file = format!("model/unet/{WEIGHTS}");
    let with_header =
        |length: u64, json: &str| [&length.to_le_bytes()[..], json.as_bytes()].concat();
    let whole =
        |json: &str, data: usize| [with_header(json.len() as u64, json), vec![0; data]].concat();
    let good = room().read(&file);
    let claim = r#"{"conv_in.weight":{"dtype":"F32","shape":[4,11,3,3],"data_offsets":[0,1584]}}"#;
    let huge = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#;
    let overlapping = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#;
    let backwards = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#;
    for bytes in [
        Vec::new(),
        good[..7].to_vec(),
        good[..8].to_vec(),
        good[..good.len() / 2].to_vec(),
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
        with_header(10 << 30, "{}"),
        with_header(u64::MAX, "{}"),
        with_header(100, "{}"),
        whole("{", 0),
        whole("no json", 0),
        whole("[]", 0),
        whole(claim, 4),
        whole(huge, 4),
        whole(overlapping, 6),
        whole(backwards, 4),
        fs::read(fixture("bad/sparse.bin")).unwrap(),
    ] {
        let room = room();
        room.write(&file, &bytes);
        refuses(&room, &file, &["no whole safetensors file", "download"]);
    }
}

#[test]
fn pickles_with_code_are_refused_and_the_code_is_never_run() {
    // Where the fixtures' code would leave its mark.
    let mark = Path::new("/tmp/minkds-pickle-ran");
    let _ = fs::remove_file(mark);
    for part in ["unet", "vqvae"] {
        for name in ["pickle-with-code.bin", "pickle-with-code-protocol-4.bin"] {
            let room = room();
            fs::remove_file(room.path("model").join(part).join(WEIGHTS)).unwrap();
            let file = format!("model/{part}/diffusion_pytorch_model.bin");
            fs::copy(fixture("bad").join(name), room.path(&file)).unwrap();
            refuses(&room, &file, &["system", "Nothing in it was run"]);
            assert!(!mark.exists(), "{name}: the code was run");
        }
    }
}

#[test]
fn pickles_that_are_no_weights_are_refused() {
    let good = fs::read(fixture("models/half-bin/unet/diffusion_pytorch_model.bin")).unwrap();
    for (sort, bytes) in [
        ("legacy", fs::read(fixture("bad/legacy.bin")).unwrap()),
        ("sparse", fs::read(fixture("bad/sparse.bin")).unwrap()),
        ("half of one", good[..good.len() / 2].to_vec()),
        ("another model's", good),
        ("empty", Vec::new()),
        ("text", b"no weights at all".to_vec()),
    ] {
        let room = room();
        fs::remove_file(room.path("model/unet").join(WEIGHTS)).unwrap();
        let file = "model/unet/diffusion_pytorch_model.bin";
        room.write(file, &bytes);
        println!("{sort}"); // shown if the next line fails
        refuses(&room, file, &[]);
    }
}

#[test]
fn a_models_recommended_settings_are_its_defaults_and_flags_override_them() {
    let room = room();
    room.picture("a.png", 12, 8);
    let plain = "--no-gui --no-check --model model";
    let spelled =
        "--steps 3 --particles 2 --seed 7 --bandwidth 9 --select mean --color-fix consistency";
    let expected = room.enlarged(&format!("{plain} {spelled}"));
    room.write(
        "model/minkds.json",
        r#"{"format": 1, "name": "small", "settings": {"steps": 3, "particles": 2, "seed": 7,
            "bandwidth": 9, "select": "mean", "color_fix": "consistency"}}"#,
    );
    assert!(room.enlarged(plain) == expected);
    assert!(room.enlarged(&format!("{plain} --seed 8")) != expected);
    assert!(room.enlarged(&format!("{plain} --color-fix none")) != expected);
}
