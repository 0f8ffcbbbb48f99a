//! Linear position biases.

use half::bf16;

/// A head's bias by position (ALiBi, Press et al. 2021): slope · (j − i) for query i and key j.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// What a step of one position adds to the score.
    pub slope: f32,
    /// Where it is slope · j, rounded to bf16, times this factor: Falcon computes it so.
    pub rounded: Option<f32>,
}

impl Slope {
    /// Biases in f32.
    pub fn new(slope: f32) -> Slope {
        Slope { slope, rounded: None }
    }

    /// Slope and biases rounded to bf16, the latter before they are multiplied by `factor`.
    pub fn rounded(slope: f32, factor: f32) -> Slope {
        Slope { slope: round(slope), rounded: Some(factor) }
    }

    /// Adds the biases of keys from position `first` on, up to the query's own.
    #[inline(always)]
    pub fn add(self, row: &mut [f32], first: usize) {
        match self.rounded {
            Some(factor) => {
                let biases = (first..).map(|j| factor * round(self.slope * round(j as f32)));
                row.iter_mut().zip(biases).for_each(|(x, bias)| *x += bias);
            }
            None => {
                let last = row.len() as f32 - 1.0;
                row.iter_mut().enumerate().for_each(|(j, x)| *x += self.slope * (j as f32 - last));
            }
        }
    }
}

fn round(x: f32) -> f32 {
    bf16::from_f32(x).to_f32()
}
