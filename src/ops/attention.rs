//! Scaled dot-product attention in query chunks, so that the scores never exist all at once.

use burn::tensor::{Tensor, activation::softmax};

/// Scores held at a time, in f32 values of all pictures and heads together (64 MiB): a VQ decoder's
/// middle attention has 16384 tokens at 128×128 and would need 1 GiB.
const MAX_SCORES: usize = 1 << 24;

/// `softmax(q kᵀ / sqrt(d)) v`; all are `[B, heads, L, d]`.
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    let [batch, heads, length, head_dim] = q.dims();
    let scale = 1.0 / (head_dim as f32).sqrt();
    let k = k.transpose();
    let rows = (MAX_SCORES / (batch * heads * length).max(1)).clamp(1, length.max(1));
    let chunks = (0..length)
        .step_by(rows)
        .map(|start| {
            let q = q.clone().narrow(2, start, rows.min(length - start));
            softmax((q * scale).matmul(k.clone()), 3).matmul(v.clone())
        })
        .collect();
    Tensor::cat(chunks, 2)
}
