//! Where group normalisations take their statistics from.
//!
//! A group's mean and variance are those of a whole picture, which makes a network that is otherwise local
//! depend on everything. To run such a network on tiles as if on the whole, the statistics are gathered first
//! and then given: with given ones, and enough context around it, a tile comes out as the whole would there.

use std::cell::RefCell;

use burn::tensor::{DType, FloatDType, Tensor, TensorData, activation::silu};

use crate::error::{Error, Result};
use crate::ops;

/// Mean and variance of every group at one normalisation, over many values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// Values behind each group's statistics.
    pub count: f64,
    /// One a group.
    pub mean: Vec<f64>,
    /// One a group.
    pub variance: Vec<f64>,
}

impl Moments {
    /// These and `other` together (Chan, Golub, LeVeque, 1979).
    fn merge(&mut self, other: &Moments) {
        if self.mean.is_empty() {
            *self = other.clone();
            return;
        }
        let count = self.count + other.count;
        for group in 0..self.mean.len() {
            let apart = other.mean[group] - self.mean[group];
            self.mean[group] += apart * other.count / count;
            self.variance[group] = (self.variance[group] * self.count
                + other.variance[group] * other.count
                + apart * apart * self.count * other.count / count)
                / count;
        }
        self.count = count;
    }
}

/// Statistics of all normalisations of a network, in the order in which they run.
pub type Statistics = Vec<Moments>;

/// The rows and columns that count, as fractions of the whole: `[top, bottom, left, right]`, 0..=1.
pub type Interior = [f64; 4];

/// What one run of a network does about statistics.
#[derive(Debug, Default)]
pub struct Norms {
    given: Statistics,
    gathers: Option<Interior>,
    gathered: RefCell<Statistics>,
    failure: RefCell<Option<Error>>,
}

impl Norms {
    /// Every normalisation uses its own input's statistics, as it was trained.
    pub fn own() -> Self {
        Norms::default()
    }

    /// Every normalisation uses `statistics`, or its own input's where there are none.
    pub fn given(statistics: Statistics) -> Self {
        Norms {
            given: statistics,
            ..Norms::default()
        }
    }

    /// The same, and what comes in is measured within `interior`.
    pub fn gathering(self, interior: Interior) -> Self {
        Norms {
            gathers: Some(interior),
            ..self
        }
    }

    /// What was measured, added to `statistics`.
    ///
    /// # Errors
    /// [`Error::Compute`], [`Error::DeviceLost`].
    pub fn add_to(self, statistics: &mut Statistics) -> Result<()> {
        if let Some(failure) = self.failure.into_inner() {
            return Err(failure);
        }
        let gathered = self.gathered.into_inner();
        statistics.resize(gathered.len(), Moments::default());
        for (sum, new) in statistics.iter_mut().zip(&gathered) {
            sum.merge(new);
        }
        Ok(())
    }

    /// A run that stands at its first normalisation.
    pub(super) fn start(&self) -> Pass<'_> {
        Pass {
            norms: self,
            next: RefCell::new(0),
            temb: None,
        }
    }
}

/// One run of a network: the time embedding, and the statistics of the normalisation whose turn it is.
pub struct Pass<'a> {
    norms: &'a Norms,
    next: RefCell<usize>,
    /// `silu(time embedding)`, `[1, T]`; an autoencoder has none.
    pub temb: Option<Tensor<2>>,
}

impl Pass<'_> {
    /// Normalises `x` with what counts here.
    pub(super) fn group_norm(
        &self,
        x: Tensor<4>,
        weight: Tensor<1>,
        bias: Tensor<1>,
        params: ops::GroupNorm,
    ) -> Tensor<4> {
        let index = self.next.replace_with(|next| *next + 1);
        if let Some(interior) = self.norms.gathers {
            match measure(&x, params.groups, interior) {
                Ok(moments) => self.norms.gathered.borrow_mut().push(moments),
                Err(error) => *self.norms.failure.borrow_mut() = Some(error),
            }
        }
        match self.norms.given.get(index) {
            Some(moments) => affine(x, weight, bias, params, moments),
            None => ops::group_norm(x, weight, bias, params),
        }
    }
}

/// Mean and variance of each group of `x` within `interior`; over all of a batch.
fn measure(x: &Tensor<4>, groups: usize, [top, bottom, left, right]: Interior) -> Result<Moments> {
    let [n, c, h, w] = x.dims();
    let at = |part: f64, size: usize| (part * size as f64).round() as usize;
    let (top, bottom, left, right) = (at(top, h), at(bottom, h), at(left, w), at(right, w));
    let inner = (x.clone()).slice([0..n, 0..c, top..bottom, left..right]);
    let (h, w) = (bottom - top, right - left);
    // The squares are taken around each group's mean, so that they do not swallow the variance.
    let inner: Tensor<5> = (inner.cast(FloatDType::F32)).reshape([n, groups, c / groups, h, w]);
    let mean = |x: Tensor<5>| x.mean_dim(4).mean_dim(3).mean_dim(2).mean_dim(0);
    let centre = mean(inner.clone());
    let squares = mean((inner - centre.clone()).square());
    let read = |x: Tensor<5>| -> Result<Vec<f64>> {
        let values = x.try_into_vec_as::<f32>().map_err(Error::reading)?;
        Ok(values.into_iter().map(f64::from).collect())
    };
    Ok(Moments {
        count: (n * (c / groups) * h * w) as f64,
        mean: read(centre)?,
        variance: read(squares)?,
    })
}

/// Normalisation with given statistics: a scale and an offset for each channel.
fn affine(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    params: ops::GroupNorm,
    moments: &Moments,
) -> Tensor<4> {
    let [_, c, ..] = x.dims();
    let per_group = c / params.groups;
    let spread = |of: &dyn Fn(usize) -> f64| {
        let values: Vec<f32> = (0..c)
            .map(|channel| of(channel / per_group) as f32)
            .collect();
        Tensor::<1>::from_data(TensorData::new(values, [c]), &x.device())
    };
    let scale = spread(&|group| 1.0 / (moments.variance[group] + params.eps).sqrt()) * weight;
    let offset = bias - spread(&|group| moments.mean[group]) * scale.clone();
    let dtype = x.dtype();
    let channels = |values: Tensor<1>| values.reshape([1, c, 1, 1]);
    let y = x.cast(FloatDType::F32) * channels(scale) + channels(offset);
    let y = if params.silu { silu(y) } else { y };
    match dtype {
        DType::F16 => y.cast(FloatDType::F16),
        _ => y,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::normal;
    use burn::tensor::Device;

    const PARAMS: ops::GroupNorm = ops::GroupNorm {
        groups: 2,
        eps: 1e-6,
        silu: true,
    };

    fn input(shape: [usize; 4]) -> Tensor<4> {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|i| 40.0 + (1 + i % 3) as f32 * normal(3, 0, 0, 0, 0, i as u32))
            .collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::default())
    }

    fn ones(value: f32) -> Tensor<1> {
        Tensor::from_data(TensorData::new(vec![value; 4], [4]), &Device::default())
    }

    #[test]
    fn statistics_of_parts_given_back_normalise_like_the_whole() {
        let x = input([1, 4, 8, 12]);
        let mut statistics = Statistics::new();
        // Two parts of different size, the second seen with surroundings that do not count.
        for (columns, interior) in [
            (0..5, [0.0, 1.0, 0.0, 1.0]),
            (3..12, [0.0, 1.0, 2.0 / 9.0, 1.0]),
        ] {
            let norms = Norms::own().gathering(interior);
            let part = x.clone().slice([0..1, 0..4, 0..8, columns]);
            norms.start().group_norm(part, ones(1.0), ones(0.0), PARAMS);
            norms.add_to(&mut statistics).unwrap();
        }
        assert_eq!(statistics.len(), 1);
        assert_eq!(statistics[0].count, 2.0 * 96.0);
        let norms = Norms::given(statistics);
        let got = norms
            .start()
            .group_norm(x.clone(), ones(1.5), ones(0.2), PARAMS);
        let expected = ops::group_norm(x, ones(1.5), ones(0.2), PARAMS);
        let worst = (got - expected).abs().max().into_scalar::<f32>();
        // Values around 40 leave 4e-6 of rounding in a mean, and the results are around 1.
        assert!(worst < 2e-5, "{worst}");
    }
}
