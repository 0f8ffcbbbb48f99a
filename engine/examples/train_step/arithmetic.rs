//! How much arithmetic a step needs, and how fast this machine multiplies matrices.

use std::hint::black_box;
use std::time::Instant;

use engine::kernel::gemm::{MatMut, MatRef, Options, gemm};
use serde_json::Value;

/// What a step works on.
pub struct Work {
    pub batch: usize,
    pub seq: usize,
    /// Of the adapter; none where every weight is trained.
    pub rank: Option<usize>,
}

/// Floating-point operations that one optimisation step of a Llama-shaped model cannot do without, 10⁹.
///
/// Products only; what is recomputed is not counted ("model FLOPs", Chowdhery et al. 2022, appendix B),
/// nor are the weight gradients of frozen weights, nor scores above the diagonal.
pub fn step_gflop(config: &Value, work: &Work) -> Option<f64> {
    let size = |key: &str| config[key].as_f64();
    let (hidden, inner) = (size("hidden_size")?, size("intermediate_size")?);
    let kv = hidden * size("num_key_value_heads")? / size("num_attention_heads")?;
    let linears = [
        (hidden, hidden),
        (hidden, kv),
        (hidden, kv),
        (hidden, hidden),
        (hidden, inner),
        (hidden, inner),
        (inner, hidden),
    ];
    // Forward, the input's gradient and, where the weight is trained, its own.
    let base = if work.rank.is_some() { 2.0 } else { 3.0 };
    let rank = work.rank.unwrap_or(0) as f64;
    let per_token: f64 = linears.iter().map(|(k, n)| base * 2.0 * k * n + 3.0 * 2.0 * rank * (k + n)).sum();
    let tokens = (work.batch * work.seq) as f64;
    // Scores and their product with the values: two products forward, four backward, half of each masked.
    let attention = 6.0 * 2.0 * hidden * tokens * work.seq as f64 / 2.0;
    let head = base * 2.0 * hidden * size("vocab_size")? * tokens;
    Some((size("num_hidden_layers")? * (tokens * per_token + attention) + head) / 1e9)
}

/// The best rate of a few square products, in 10⁹ operations a second.
pub fn gemm_peak_gflops(bf16: bool) -> f64 {
    const SIZE: usize = 1024;
    let a = vec![0.5f32; SIZE * SIZE];
    let b = vec![0.25f32; SIZE * SIZE];
    let mut c = vec![0f32; SIZE * SIZE];
    let mut best = f64::INFINITY;
    for _ in 0..24 {
        let begin = Instant::now();
        let (a, b) = (MatRef::f32(&a, SIZE, SIZE), MatRef::f32(&b, SIZE, SIZE));
        gemm(MatMut::f32(&mut c, SIZE, SIZE), a, b, Options { bf16, ..Options::default() });
        black_box(&c);
        best = best.min(begin.elapsed().as_secs_f64());
    }
    2.0 * (SIZE as f64).powi(3) / best / 1e9
}
