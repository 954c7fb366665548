//! No bad picture is ever written.

use crate::bad_models::{change_weights, floats};
use crate::program::Room;

/// A room with an input and a copy of the small model whose decoder gives `[r, g, b]` everywhere.
fn constant(value: f32) -> Room {
    let room = Room::new();
    room.picture("a.png", 12, 8);
    room.model("kl-like-bundled");
    change_weights(&room.path("model/vqvae"), |tensors| {
        for (name, value) in [("weight", 0.0), ("bias", value)] {
            let tensor = tensors
                .get_mut(&format!("decoder.conv_out.{name}"))
                .expect(name);
            tensor.bytes = floats(tensor.bytes.len() / 4, value);
        }
    });
    room
}

const WORDS: &str = "--no-gui a.png -o b.png --model model --steps 2 --save-latents l.st";

#[test]
fn a_black_or_flat_or_foreign_result_is_refused_unless_told_otherwise() {
    for (value, says) in [(-1.0, "black"), (0.0, "flat"), (1.0, "flat")] {
        let room = constant(value);
        room.refuses(WORDS, 1, &["a.png", "not written", says, "--no-check"]);
        room.succeeds(&format!("{WORDS} --no-check"));
        assert_eq!(room.size("b.png"), (48, 32));
    }
    // Random weights make a picture that has nothing to do with the input.
    let room = Room::new();
    room.picture("a.png", 12, 8);
    let words = "--no-gui a.png -o b.png --steps 2 --model MODEL";
    room.refuses(
        words,
        1,
        &["a.png", "not written", "does not resemble the input"],
    );
    room.refuses(
        &format!("{words} --select all"),
        1,
        &["a.png", "does not resemble the input"],
    );
    room.succeeds(&format!("{words} --color-fix consistency"));
}

#[test]
fn black_inputs_may_stay_black() {
    let room = constant(-1.0);
    image::RgbImage::new(12, 8)
        .save(room.path("a.png"))
        .unwrap();
    room.succeeds(WORDS);
}

#[test]
fn with_start_noise_from_a_file_the_resemblance_is_not_checked() {
    let room = constant(-1.0);
    room.succeeds(&format!("{WORDS} --no-check"));
    std::fs::rename(room.path("l.st"), room.path("start.st")).unwrap();
    room.succeeds(&format!("{WORDS} --latents start.st"));
}

#[test]
fn values_that_are_no_numbers_are_never_written() {
    for (part, name) in [
        ("unet", "conv_out.bias"),
        ("vqvae", "decoder.conv_out.bias"),
    ] {
        for value in [f32::NAN, f32::INFINITY] {
            let room = Room::new();
            room.picture("a.png", 12, 8);
            room.model("kl-like-bundled");
            change_weights(&room.path("model").join(part), |tensors| {
                tensors.get_mut(name).expect(name).bytes[..4].copy_from_slice(&value.to_le_bytes());
            });
            for words in ["", "--no-check", "--no-check --color-fix consistency"] {
                let words = format!("{WORDS} {words}");
                room.refuses(&words, 1, &["a.png", "not written", "no numbers"]);
            }
        }
    }
}
