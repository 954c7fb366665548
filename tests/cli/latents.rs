//! `--latents` and `--save-latents`: start noise from a file, final latents into one.

use std::collections::HashMap;

use minkds::noise;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::program::Room;

/// What `--save-latents` wrote.
pub struct Saved {
    pub selected: i64,
    pub shape: [usize; 4],
    pub values: Vec<f32>,
}

impl Saved {
    #[track_caller]
    pub fn read(room: &Room, name: &str) -> Self {
        let bytes = room.read(name);
        let (_, header) = SafeTensors::read_metadata(&bytes).expect(name);
        let metadata = header.metadata().as_ref().expect("metadata");
        let file = SafeTensors::deserialize(&bytes).expect(name);
        assert_eq!(file.names(), ["latents"]);
        let array = file.tensor("latents").unwrap();
        assert_eq!(array.dtype(), Dtype::F32);
        let values = array.data().as_chunks::<4>().0.iter();
        Saved {
            selected: metadata["selected"].parse().expect("an index"),
            shape: array.shape().try_into().expect("[N, C, H, W]"),
            values: values.map(|&b| f32::from_le_bytes(b)).collect(),
        }
    }

    fn particles(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.values.len() / self.shape[0])
    }

    fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.values.len() / self.shape[0]];
        for particle in self.particles() {
            for (mean, &value) in mean.iter_mut().zip(particle) {
                *mean += f64::from(value) / self.shape[0] as f64;
            }
        }
        mean
    }

    /// The particle that `rule` chooses, by its definition.
    pub fn choice(&self, rule: &str) -> i64 {
        let mean = self.mean();
        let score = |particle: &[f32]| -> f64 {
            let values = particle.iter().map(|&v| f64::from(v));
            match rule {
                "first" => 0.0,
                "nearest-mean" => values.zip(&mean).map(|(a, b)| (a - b).powi(2)).sum(),
                "lowest-variance" => {
                    let own = values.clone().sum::<f64>() / particle.len() as f64;
                    values.map(|v| (v - own).powi(2)).sum()
                }
                other => panic!("{other}"),
            }
        };
        let scores: Vec<f64> = self.particles().map(score).collect();
        let best = scores.iter().copied().fold(f64::INFINITY, f64::min);
        scores.iter().position(|&score| score == best).unwrap() as i64
    }

    /// The largest distance of a value from its mean over the particles.
    pub fn spread(&self) -> f64 {
        let mean = self.mean();
        let differences = self.particles().flat_map(|particle| {
            particle
                .iter()
                .zip(&mean)
                .map(|(&a, b)| (f64::from(a) - b).abs())
        });
        differences.fold(0.0, f64::max)
    }
}

/// A safetensors file with one array.
fn write(room: &Room, file: &str, array: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) {
    let view = TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
    let bytes = safetensors::serialize([(array, view)], None::<HashMap<String, String>>);
    room.write(file, bytes.unwrap());
}

/// Start noise that is good for any run: the seed's own.
fn write_noise(room: &Room, file: &str, seed: u64, shape: [usize; 4]) {
    let [n, c, h, w] = shape;
    let bytes: Vec<u8> = (0..n as u32)
        .flat_map(|particle| noise::field(seed, particle, noise::START, [c, h, w]))
        .flat_map(f32::to_le_bytes)
        .collect();
    write(room, file, "latents", Dtype::F32, &shape, &bytes);
}

/// Latents of the small model for a picture of 12 × 8.
const SHAPE: [usize; 4] = [3, 8, 8, 12];

#[test]
fn noise_from_a_file_is_used_like_the_seeds_own() {
    let room = Room::new();
    room.picture("a.png", 12, 8);
    let words = "TINY --particles 3 --bandwidth 9 --save-latents l.st";
    let plain = room.enlarged(&format!("{words} --seed 5"));
    let latents = room.read("l.st");
    let saved = Saved::read(&room, "l.st");
    assert_eq!(
        (saved.shape, saved.selected),
        (SHAPE, saved.choice("nearest-mean"))
    );
    write_noise(&room, "start.st", 5, SHAPE);
    assert!(room.enlarged(&format!("{words} --latents start.st")) == plain);
    assert!(room.read("l.st") == latents);
    // The file knows the number of particles.
    let counted = "TINY --bandwidth 9 --latents start.st";
    assert!(room.enlarged(counted) == plain);
    assert!(room.enlarged(&format!("{words} --latents start.st --seed 6")) == plain);
}

#[test]
fn final_latents_are_valid_start_noise_for_padded_pictures_too() {
    let room = Room::new();
    room.picture("a.png", 5, 7);
    for (model, channels) in [("TINY", 8), ("TINY_VQ", 3)] {
        let first = room.enlarged(&format!("{model} --particles 2 --save-latents l.st"));
        assert_eq!(Saved::read(&room, "l.st").shape, [2, channels, 8, 8]);
        let second = room.enlarged(&format!("{model} --latents l.st --save-latents m.st"));
        assert_eq!(Saved::read(&room, "m.st").shape, [2, channels, 8, 8]);
        assert!(first != second, "{model}");
    }
}

#[test]
fn more_particles_leave_the_others_noise_alone() {
    let room = Room::new();
    room.picture("a.png", 12, 8);
    let values = |particles: usize| {
        let words = format!("TINY --vanilla --eta 0.5 --particles {particles}");
        room.enlarged(&format!("{words} --save-latents l.st"));
        Saved::read(&room, "l.st").values
    };
    let (two, three) = (values(2), values(3));
    assert!(two == three[..two.len()]);
}

#[test]
fn vanilla_takes_the_first_particle_of_a_file() {
    let room = Room::new();
    room.picture("a.png", 12, 8);
    write_noise(&room, "start.st", 5, SHAPE);
    let vanilla = room.enlarged("TINY --vanilla --latents start.st --save-latents l.st");
    assert_eq!(Saved::read(&room, "l.st").shape, [1, 8, 8, 12]);
    assert!(room.enlarged("TINY --vanilla --seed 5") == vanilla);
}

#[test]
fn a_file_that_does_not_fit_is_refused() {
    let room = Room::new();
    room.picture("a.png", 12, 8);
    std::fs::create_dir(room.path("folder.st")).unwrap();
    let floats = |shape: &[usize]| vec![0u8; 4 * shape.iter().product::<usize>()];
    for (file, shape) in [
        ("channels.st", &[2, 3, 8, 12][..]),
        ("turned.st", &[2, 8, 12, 8]),
        ("unpadded.st", &[2, 8, 8, 11]),
        ("flat.st", &[8, 8, 12]),
        ("five.st", &[1, 2, 8, 8, 12]),
        ("none.st", &[0, 8, 8, 12]),
        ("many.st", &[65, 8, 8, 12]),
    ] {
        write(&room, file, "latents", Dtype::F32, shape, &floats(shape));
    }
    let shape = [1, 8, 8, 12];
    let zeros = floats(&shape);
    write(
        &room,
        "f16.st",
        "latents",
        Dtype::F16,
        &shape,
        &zeros[..zeros.len() / 2],
    );
    write(&room, "i32.st", "latents", Dtype::I32, &shape, &zeros);
    write(&room, "noise.st", "noise", Dtype::F32, &shape, &zeros);
    for (file, value) in [("nan.st", f32::NAN), ("inf.st", f32::INFINITY)] {
        let mut bytes = zeros.clone();
        bytes[40..44].copy_from_slice(&value.to_le_bytes());
        write(&room, file, "latents", Dtype::F32, &shape, &bytes);
    }
    write_noise(&room, "good.st", 0, SHAPE);
    let good = room.read("good.st");
    room.write("cut.st", &good[..good.len() - 4]);
    room.write("cut-header.st", &good[..20]);
    room.write("empty.st", "");
    room.write("text.st", "these are no latents");
    room.write(
        "claims.st",
        [&(10u64 << 30).to_le_bytes()[..], b"{}"].concat(),
    );

    let needed = "[N, 8, 8, 12]";
    for (file, word) in [
        ("channels.st", needed),
        ("turned.st", needed),
        ("unpadded.st", needed),
        ("flat.st", "[N, C, H, W]"),
        ("five.st", "[N, C, H, W]"),
        ("none.st", needed),
        ("many.st", "64"),
        ("f16.st", "F16"),
        ("i32.st", "I32"),
        ("noise.st", "\"latents\""),
        ("nan.st", "no numbers"),
        ("inf.st", "no numbers"),
        ("cut.st", "safetensors"),
        ("cut-header.st", "safetensors"),
        ("empty.st", "safetensors"),
        ("text.st", "safetensors"),
        ("claims.st", "safetensors"),
        ("folder.st", "read"),
        ("gone.st", "read"),
        ("good.st --particles 2", "[2, 8, 8, 12]"),
        ("good.st --particles 4", "[4, 8, 8, 12]"),
        ("good.st --vanilla --particles 2", "[2, 8, 8, 12]"),
    ] {
        let name = file.split(' ').next().unwrap();
        let words = format!("TINY a.png -o b.png --save-latents l.st --latents {file}");
        room.refuses(&words, 1, &[name, word]);
    }
    room.succeeds("TINY a.png -o b.png --latents good.st --particles 3");
}

#[test]
fn latents_belong_to_one_picture_and_one_folder_that_exists() {
    let room = Room::new();
    room.picture("a.png", 12, 8);
    room.picture("b.png", 12, 8);
    write_noise(&room, "good.st", 0, SHAPE);
    for words in ["--latents good.st", "--save-latents l.st"] {
        room.refuses(
            &format!("TINY a.png b.png -o out {words}"),
            2,
            &["one input"],
        );
    }
    room.refuses(
        "TINY a.png -o c.png --save-latents gone/l.st",
        2,
        &["gone", "does not exist"],
    );
    room.refuses(
        "TINY a.png -o c.png --latents good.st --save-latents good.st",
        2,
        &["good.st", "never replaced"],
    );
    room.write("a_x4.png", "old");
    room.refuses(
        "TINY a.png --save-latents l.st",
        1,
        &["a_x4.png", "exists already"],
    );
}
