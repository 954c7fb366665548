//! Profiles of tables (ICC's `lut8Type`, `lut16Type`, `lutAToBType`, `lutBToAType`): as printers, scanners and
//! some cameras and displays have them.

use moxcms::{
    ColorProfile, DataColorSpace, LutDataType, LutMultidimensionalType, LutStore, LutType,
    LutWarehouse, Matrix3d,
};

use super::curve::{Curve, between};
use super::{D50, Matrix, SRGB_COLORANTS, Unusable, encoded, inverse, linear, times};

/// How often the way back is corrected by what the way there makes of it, at most.
const CORRECTIONS: usize = 12;

/// An answer whose colour is nearer than this to the wanted one is good enough: in Lab, and over 100 in XYZ.
const NEAR: f64 = 1e-3;

/// How far values are moved to see how the colour moves.
const NUDGE: f64 = 1.0 / 4096.0;

/// Both ways of a profile.
pub(super) struct Tables {
    /// From the file's values to the connection space.
    forth: Pipeline,
    back: Pipeline,
    space: Space,
    xyz_to_srgb: Matrix,
}

/// The connection space.
#[derive(Clone, Copy, PartialEq)]
enum Space {
    Lab,
    Xyz,
}

impl Tables {
    /// The tables that a profile has for both ways; `None` if it has none, or one way is missing and
    /// colorants stand in for them.
    ///
    /// # Errors
    /// [`Unusable::Unknown`].
    pub fn of(profile: &ColorProfile) -> Result<Option<Self>, Unusable> {
        // Relative colorimetric, else perceptual, as littleCMS chooses.
        let forth =
            (profile.lut_a_to_b_colorimetric.as_ref()).or(profile.lut_a_to_b_perceptual.as_ref());
        let back =
            (profile.lut_b_to_a_colorimetric.as_ref()).or(profile.lut_b_to_a_perceptual.as_ref());
        let (forth, back) = match (forth, back) {
            (Some(forth), Some(back)) => (forth, back),
            (None, None) => return Ok(None),
            _ if profile.is_matrix_shaper() => return Ok(None),
            _ => {
                let what = "describes one way only, as of a scanner or a camera";
                return Err(Unusable::Unknown(what.into()));
            }
        };
        let space = match profile.pcs {
            DataColorSpace::Lab => Space::Lab,
            DataColorSpace::Xyz => Space::Xyz,
            _ => return Err(Unusable::damaged("its connection space is no such")),
        };
        let no_sense = || Unusable::damaged("its tables make no sense");
        Ok(Some(Self {
            forth: Pipeline::of(forth, space, true).ok_or_else(no_sense)?,
            back: Pipeline::of(back, space, false).ok_or_else(no_sense)?,
            space,
            xyz_to_srgb: inverse(&SRGB_COLORANTS).ok_or_else(no_sense)?,
        }))
    }

    pub fn to_srgb(&self, pixel: [f64; 3]) -> [f64; 3] {
        let xyz = match self.space {
            Space::Xyz => self.forth.run(pixel),
            Space::Lab => xyz_of(self.forth.run(pixel)),
        };
        times(&self.xyz_to_srgb, xyz).map(encoded)
    }

    /// The tables of the way back are rarely the exact inverse of the others. So their answer is taken forth
    /// again, and where that is not the wanted colour, it is corrected by Newton's method; the best answer in
    /// 0..=1 is kept.
    pub fn to_file(&self, pixel: [f64; 3]) -> [f64; 3] {
        let xyz = times(&SRGB_COLORANTS, pixel.map(linear));
        let wanted = match self.space {
            Space::Xyz => xyz,
            Space::Lab => lab_of(xyz),
        };
        let unit = match self.space {
            Space::Xyz => NEAR / 100.0,
            Space::Lab => NEAR,
        };
        let missing = |answer: [f64; 3]| {
            let got = self.forth.run(answer);
            [0, 1, 2].map(|i| wanted[i] - got[i])
        };
        let mut answer = self.back.run(wanted).map(|value| value.clamp(0.0, 1.0));
        let mut left = missing(answer);
        for _ in 0..CORRECTIONS {
            if length(left) < unit {
                break;
            }
            let Some(step) = self.step(answer, left) else {
                break;
            };
            // A whole step, or as much of it as brings one nearer.
            let better = [1.0, 0.5, 0.25, 0.1].into_iter().find_map(|share| {
                let next = [0, 1, 2].map(|i| (answer[i] + share * step[i]).clamp(0.0, 1.0));
                let still = missing(next);
                (length(still) < length(left)).then_some((next, still))
            });
            let Some(better) = better else { break };
            (answer, left) = better;
        }
        answer
    }

    /// How far to go from `answer` so that its colour moves by `left`, if colours went on as they begin.
    fn step(&self, answer: [f64; 3], left: [f64; 3]) -> Option<[f64; 3]> {
        let here = self.forth.run(answer);
        let mut slopes = Matrix::default();
        for i in 0..3 {
            let nudge = if answer[i] < 0.5 { NUDGE } else { -NUDGE };
            let mut there = answer;
            there[i] += nudge;
            let there = self.forth.run(there);
            (0..3).for_each(|row| slopes[row][i] = (there[row] - here[row]) / nudge);
        }
        Some(times(&inverse(&slopes)?, left))
    }
}

fn length(vector: [f64; 3]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// What is done to three values, one after the other.
struct Pipeline(Vec<Stage>);

enum Stage {
    /// Values at equal distances for each channel.
    Curves([Vec<f64>; 3]),
    Tone([Curve; 3]),
    Affine(Matrix, [f64; 3]),
    Grid(Grid),
}

impl Pipeline {
    /// `forth` is the way to the connection space. `None` if sizes do not fit.
    fn of(tables: &LutWarehouse, space: Space, forth: bool) -> Option<Self> {
        let mut stages = match tables {
            LutWarehouse::Lut(lut) => of_lut(lut, space, forth)?,
            LutWarehouse::Multidimensional(lut) => of_multidimensional(lut, forth)?,
        };
        let (scale, offset) = encoding(tables, space);
        if forth {
            let mut matrix = Matrix::default();
            (0..3).for_each(|i| matrix[i][i] = scale[i]);
            stages.push(Stage::Affine(matrix, offset));
        } else {
            let mut matrix = Matrix::default();
            (0..3).for_each(|i| matrix[i][i] = 1.0 / scale[i]);
            let offset = [0, 1, 2].map(|i| -offset[i] / scale[i]);
            stages.insert(0, Stage::Affine(matrix, offset));
        }
        Some(Self(stages))
    }

    fn run(&self, values: [f64; 3]) -> [f64; 3] {
        self.0.iter().fold(values, |v, stage| match stage {
            Stage::Curves(curves) => [0, 1, 2].map(|i| between(&curves[i], v[i])),
            Stage::Tone(curves) => [0, 1, 2].map(|i| curves[i].forth(v[i])),
            Stage::Affine(matrix, offset) => {
                let product = times(matrix, v);
                [0, 1, 2].map(|i| product[i] + offset[i])
            }
            Stage::Grid(grid) => grid.at(v),
        })
    }
}

/// What 0..=1 at the connection space's side of tables stands for: a factor and an addend for each channel.
fn encoding(tables: &LutWarehouse, space: Space) -> ([f64; 3], [f64; 3]) {
    let sixteen = matches!(tables, LutWarehouse::Lut(lut) if lut.lut_type == LutType::Lut16);
    match space {
        Space::Xyz => ([1.0 + 32767.0 / 32768.0; 3], [0.0; 3]),
        // 16-bit tables keep the encoding of version 2, in which 0xFF00 is 100.
        Space::Lab if sixteen => {
            let (lightness, colour) = (100.0 * 65535.0 / 65280.0, 65535.0 / 256.0);
            ([lightness, colour, colour], [0.0, -128.0, -128.0])
        }
        Space::Lab => ([100.0, 255.0, 255.0], [0.0, -128.0, -128.0]),
    }
}

/// Matrix (from XYZ only), curves, grid, curves.
fn of_lut(lut: &LutDataType, space: Space, forth: bool) -> Option<Vec<Stage>> {
    if (lut.num_input_channels, lut.num_output_channels) != (3, 3) {
        return None;
    }
    let curves = |table: &LutStore, entries: u16| {
        let values = normalised(table);
        let entries = usize::from(entries);
        (entries >= 2 && values.len() == 3 * entries).then(|| {
            let mut channels = values.chunks_exact(entries).map(<[f64]>::to_vec);
            Stage::Curves(std::array::from_fn(|_| channels.next().unwrap_or_default()))
        })
    };
    let sides = [usize::from(lut.num_clut_grid_points); 3];
    let mut stages = Vec::new();
    if !forth && space == Space::Xyz {
        stages.push(Stage::Affine(rows(&lut.matrix), [0.0; 3]));
    }
    stages.push(curves(&lut.input_table, lut.num_input_table_entries)?);
    stages.push(Stage::Grid(Grid::of(&lut.clut_table, sides)?));
    stages.push(curves(&lut.output_table, lut.num_output_table_entries)?);
    Some(stages)
}

/// A curves, grid, M curves, matrix, B curves; the other way round on the way back. All but B may be missing.
fn of_multidimensional(lut: &LutMultidimensionalType, forth: bool) -> Option<Vec<Stage>> {
    if (lut.num_input_channels, lut.num_output_channels) != (3, 3) {
        return None;
    }
    let mut stages = Vec::new();
    let curves = |stages: &mut Vec<Stage>, curves: &[moxcms::ToneReprCurve]| {
        if let [a, b, c] = curves {
            let [a, b, c] = [a, b, c].map(|curve| Curve::of(Some(curve)).ok());
            stages.push(Stage::Tone([a?, b?, c?]));
        } else if !curves.is_empty() {
            return None;
        }
        Some(())
    };
    curves(&mut stages, &lut.a_curves)?;
    if let Some(clut) = &lut.clut {
        let sides = [0, 1, 2].map(|i| usize::from(lut.grid_points[i]));
        stages.push(Stage::Grid(Grid::of(clut, sides)?));
    }
    curves(&mut stages, &lut.m_curves)?;
    if !lut.m_curves.is_empty() {
        let bias = [lut.bias.v[0], lut.bias.v[1], lut.bias.v[2]];
        stages.push(Stage::Affine(rows(&lut.matrix), bias));
    }
    curves(&mut stages, &lut.b_curves)?;
    if !forth {
        stages.reverse();
    }
    Some(stages)
}

fn rows(matrix: &Matrix3d) -> Matrix {
    matrix.v
}

fn normalised(table: &LutStore) -> Vec<f64> {
    match table {
        LutStore::Store8(values) => values.iter().map(|&v| f64::from(v) / 255.0).collect(),
        LutStore::Store16(values) => values.iter().map(|&v| f64::from(v) / 65535.0).collect(),
    }
}

/// Three values at each point of a grid over three axes, the last of which runs fastest.
struct Grid {
    sides: [usize; 3],
    values: Vec<[f32; 3]>,
}

impl Grid {
    fn of(table: &LutStore, sides: [usize; 3]) -> Option<Self> {
        let values: Vec<f32> = normalised(table).into_iter().map(|v| v as f32).collect();
        let (points, rest) = values.as_chunks::<3>();
        let count: usize = sides.iter().product();
        let fits = rest.is_empty() && points.len() == count && sides.iter().all(|&side| side >= 2);
        fits.then(|| Self {
            sides,
            values: points.to_vec(),
        })
    }

    /// Between the four corners of the tetrahedron that holds the place.
    fn at(&self, place: [f64; 3]) -> [f64; 3] {
        let mut cell = [0; 3];
        let mut part = [0.0; 3];
        for i in 0..3 {
            let last = self.sides[i] - 1;
            let along = place[i].clamp(0.0, 1.0) * last as f64;
            cell[i] = (along as usize).min(last - 1);
            part[i] = along - cell[i] as f64;
        }
        let strides = [self.sides[1] * self.sides[2], self.sides[2], 1];
        // From the first corner to the last, along the axis that has the most left first.
        let mut order = [0, 1, 2];
        order.sort_by(|&a, &b| part[b].total_cmp(&part[a]));
        let mut corner: usize = (0..3).map(|i| cell[i] * strides[i]).sum();
        let point = |corner: usize| self.values[corner].map(f64::from);
        let mut before = point(corner);
        let mut sum = before;
        for axis in order {
            corner += strides[axis];
            let here = point(corner);
            for i in 0..3 {
                sum[i] += part[axis] * (here[i] - before[i]);
            }
            before = here;
        }
        sum
    }
}

/// CIE XYZ of CIE L*a*b*, both relative to D50.
fn xyz_of([l, a, b]: [f64; 3]) -> [f64; 3] {
    let y = (l + 16.0) / 116.0;
    let shares = [y + a / 500.0, y, y - b / 200.0].map(|f| {
        if f > 6.0 / 29.0 {
            f * f * f
        } else {
            (f - 16.0 / 116.0) * 108.0 / 841.0
        }
    });
    [0, 1, 2].map(|i| shares[i] * D50[i])
}

fn lab_of(xyz: [f64; 3]) -> [f64; 3] {
    let [x, y, z] = [0, 1, 2].map(|i| {
        let share = xyz[i] / D50[i];
        if share > 216.0 / 24389.0 {
            share.cbrt()
        } else {
            841.0 / 108.0 * share + 16.0 / 116.0
        }
    });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// The light, 1 for white, that a CIE L* stands for.
pub(super) fn light(lightness: f64) -> f64 {
    xyz_of([lightness, 0.0, 0.0])[1]
}

/// CIE L* of light, 1 for white.
pub(super) fn lightness(light: f64) -> f64 {
    lab_of([D50[0] * light, light, D50[2] * light])[0]
}
