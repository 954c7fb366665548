//! The tone curves of profiles, and their inverses.

use moxcms::{ParametricCurve, ToneReprCurve};

use super::Unusable;

/// A curve that never falls, from encoded values in 0..=1 to linear ones.
#[derive(Clone, Debug)]
pub(super) enum Curve {
    Gamma(f64),
    /// Values at equal distances, never falling, 2 at least.
    Table(Vec<f64>),
    /// `(a x + b)^g + e` from `d` on, `c x + f` before.
    Parametric {
        g: f64,
        a: f64,
        b: f64,
        c: f64,
        d: f64,
        e: f64,
        f: f64,
    },
}

impl Curve {
    /// # Errors
    /// [`Unusable::Unknown`] for a curve that is missing or has no inverse.
    pub fn of(curve: Option<&ToneReprCurve>) -> Result<Self, Unusable> {
        let no_inverse = || Unusable::damaged("a tone curve makes no sense");
        match curve {
            None => Err(Unusable::damaged("a tone curve is missing")),
            Some(ToneReprCurve::Lut(values)) => match values.as_slice() {
                [] => Ok(Curve::Gamma(1.0)),
                [0] => Err(no_inverse()),
                // 8 bits before the point, 8 after.
                [gamma] => Ok(Curve::Gamma(f64::from(*gamma) / 256.0)),
                values => Curve::table(values.iter().map(|&v| f64::from(v) / 65535.0).collect())
                    .ok_or_else(no_inverse),
            },
            Some(ToneReprCurve::Parametric(parameters)) => {
                let curve = ParametricCurve::new(parameters).ok_or_else(no_inverse)?;
                let ParametricCurve {
                    g,
                    a,
                    b,
                    c,
                    d,
                    e,
                    f,
                } = curve;
                let [g, a, b, c, d, e, f] = [g, a, b, c, d, e, f].map(f64::from);
                let finite = [g, a, b, c, d, e, f].iter().all(|value| value.is_finite());
                let curve = Curve::Parametric {
                    g,
                    a,
                    b,
                    c,
                    d,
                    e,
                    f,
                };
                let rises = g > 0.0 && a > 0.0 && c >= 0.0 && curve.forth(1.0) > curve.forth(0.0);
                (finite && rises).then_some(curve).ok_or_else(no_inverse)
            }
        }
    }

    /// A curve through `values` at equal distances; where they fall, which is noise, it stays level. `None` if
    /// they do not rise.
    pub fn table(mut values: Vec<f64>) -> Option<Self> {
        for i in 1..values.len() {
            values[i] = values[i].max(values[i - 1]);
        }
        let rises = values.len() >= 2 && values.last() > values.first();
        rises.then_some(Curve::Table(values))
    }

    pub fn forth(&self, x: f64) -> f64 {
        let x = x.clamp(0.0, 1.0);
        match self {
            Curve::Gamma(gamma) => x.powf(*gamma),
            Curve::Table(values) => between(values, x),
            &Curve::Parametric {
                g,
                a,
                b,
                c,
                d,
                e,
                f,
            } => {
                if x < d {
                    c * x + f
                } else {
                    (a * x + b).max(0.0).powf(g) + e
                }
            }
        }
    }

    /// The value in 0..=1 whose [`Curve::forth`] is nearest to `y`.
    pub fn back(&self, y: f64) -> f64 {
        let x = match self {
            Curve::Gamma(gamma) => y.max(0.0).powf(1.0 / gamma),
            Curve::Table(values) => {
                let last = values.len() - 1;
                if y >= values[last] {
                    return 1.0;
                }
                // The first value that is not below; there is one.
                let above = values.partition_point(|&value| value < y);
                if above == 0 {
                    return 0.0;
                }
                let (low, high) = (values[above - 1], values[above]);
                ((above - 1) as f64 + (y - low) / (high - low)) / last as f64
            }
            &Curve::Parametric {
                g,
                a,
                b,
                c,
                d,
                e,
                f,
            } => {
                let at_seam = (a * d + b).max(0.0).powf(g) + e;
                if y >= at_seam {
                    ((y - e).max(0.0).powf(1.0 / g) - b) / a
                } else if c > 0.0 {
                    ((y - f) / c).min(d)
                } else {
                    d
                }
            }
        };
        x.clamp(0.0, 1.0)
    }
}

/// The value at `x` in 0..=1 of a line through `values` (one at least) at equal distances.
pub(super) fn between(values: &[f64], x: f64) -> f64 {
    let last = values.len() - 1;
    let place = x.clamp(0.0, 1.0) * last as f64;
    let below = (place as usize).min(last);
    let above = (below + 1).min(last);
    values[below] + (place - below as f64) * (values[above] - values[below])
}
