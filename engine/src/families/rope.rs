//! Frequencies of rotary positions and the ways to stretch them.
//!
//! Formulas as in transformers' `modeling_rope_utils`; angles are computed in f32 as there.

use std::f64::consts::PI;

use crate::{Error, Result};

use super::Config;

/// Rotary positions of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeSpec {
    /// The base of the frequencies.
    pub theta: f64,
    /// Leading dimensions of a head that are rotated.
    pub rotary_dim: usize,
    /// Pairs are neighbours instead of halves.
    pub interleaved: bool,
    /// How frequencies change for long texts.
    pub scaling: RopeScaling,
}

/// How frequencies change for texts longer than the model was trained on.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// They do not.
    None,
    /// Positions divided by the factor.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// NTK-aware base that grows with the sequence once it is longer than `original`.
    Dynamic {
        /// How fast the base grows with the length.
        factor: f64,
        /// Tokens of the context that the model was trained on.
        original: usize,
    },
    /// Llama 3.1: low frequencies divided, high ones kept, smooth in between.
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Waves that are fewer than this in the original context are divided by the whole factor.
        low: f64,
        /// Waves that are more than this stay.
        high: f64,
        /// Tokens of the context that the model was trained on.
        original: usize,
    },
    /// YaRN (Peng et al. 2023).
    Yarn {
        /// The divisor of low frequencies.
        factor: f64,
        /// Rotations in the original context from which on a frequency stays.
        beta_fast: f64,
        /// Rotations up to which it is divided by the whole factor.
        beta_slow: f64,
        /// Tokens of the context that the model was trained on.
        original: usize,
        /// Factor on cosines and sines.
        attention: f64,
        /// The borders of the ramp are whole dimensions.
        truncate: bool,
    },
    /// LongRoPE (Ding et al. 2024): a divisor per frequency, other ones beyond the original context.
    Long {
        /// Divisors within the original context.
        short: Vec<f64>,
        /// Divisors beyond it.
        long: Vec<f64>,
        /// Tokens of the context that the model was trained on.
        original: usize,
        /// Factor on cosines and sines.
        attention: f64,
    },
    /// NTK-aware base that doubles with each sequence's own length beyond `original`, outside of training
    /// (Qwen 1).
    Doubling {
        /// Tokens of the context that the model was trained on.
        original: usize,
    },
}

impl RopeSpec {
    /// Reads `rope_theta` and `rope_scaling`, or `rope_parameters`, which holds both in configurations that
    /// transformers 5 wrote.
    ///
    /// # Errors
    /// With file and key, if the kind is not known or lacks one of its numbers.
    pub fn read(config: &Config, rotary_dim: usize, max_positions: usize) -> Result<RopeSpec> {
        RopeSpec::of(&rope_parameters(config)?, config, rotary_dim, max_positions)
    }

    /// The same of one object of the configuration `model`.
    ///
    /// # Errors
    /// As of [`RopeSpec::read`].
    pub fn of(
        parameters: &Config,
        model: &Config,
        rotary_dim: usize,
        max_positions: usize,
    ) -> Result<RopeSpec> {
        let theta = parameters.number_or("rope_theta", 10_000.0)?;
        let scaling = RopeScaling::read(parameters, model, rotary_dim, max_positions)?;
        Ok(RopeSpec { theta, rotary_dim, interleaved: false, scaling })
    }

    /// Plain frequencies.
    pub fn plain(theta: f64, rotary_dim: usize) -> RopeSpec {
        RopeSpec { theta, rotary_dim, interleaved: false, scaling: RopeScaling::None }
    }

    /// Pairs are neighbours instead of halves.
    pub fn interleaved(self) -> RopeSpec {
        RopeSpec { interleaved: true, ..self }
    }

    /// Whether each sequence has frequencies of its own, by its length.
    pub fn is_per_sequence(&self) -> bool {
        matches!(self.scaling, RopeScaling::Doubling { .. })
    }

    /// Whether the frequencies of a sequence become others when it grows from `old` to `new` tokens, so that those of
    /// its past count no more.
    pub fn switches(&self, old: usize, new: usize) -> bool {
        matches!(&self.scaling, RopeScaling::Long { original, .. } if old > 0 && old <= *original && new > *original)
    }

    /// Angles per position of the pairs, for a pass whose largest position is `length - 1`; and the factor
    /// on cosines and sines.
    pub fn frequencies(&self, length: usize) -> (Vec<f32>, f32) {
        let plain = |theta: f64| -> Vec<f64> {
            let dim = self.rotary_dim as f64;
            (0..self.rotary_dim / 2).map(|i| theta.powf(-2.0 * i as f64 / dim)).collect()
        };
        let (frequencies, factor) = match &self.scaling {
            RopeScaling::None => (plain(self.theta), 1.0),
            RopeScaling::Linear { factor } => {
                (plain(self.theta).into_iter().map(|f| f / factor).collect(), 1.0)
            }
            RopeScaling::Dynamic { factor, original } => {
                let dim = self.rotary_dim as f64;
                let length = length.max(*original) as f64 / *original as f64;
                let theta = self.theta * (factor * length - (factor - 1.0)).powf(dim / (dim - 2.0));
                (plain(theta), 1.0)
            }
            RopeScaling::Llama3 { factor, low, high, original } => {
                let stretch = |f: f64| {
                    let wavelength = 2.0 * PI / f;
                    let original = *original as f64;
                    if wavelength < original / high {
                        f
                    } else if wavelength > original / low {
                        f / factor
                    } else {
                        let smooth = (original / wavelength - low) / (high - low);
                        (1.0 - smooth) * f / factor + smooth * f
                    }
                };
                (plain(self.theta).into_iter().map(stretch).collect(), 1.0)
            }
            RopeScaling::Long { short, long, original, attention } => {
                let divisors = if length > *original { long } else { short };
                (plain(self.theta).iter().zip(divisors).map(|(f, divisor)| f / divisor).collect(), *attention)
            }
            RopeScaling::Doubling { original } => {
                let dim = self.rotary_dim as f64;
                let doublings = (length as f64 / *original as f64).log2() + 1.0;
                let alpha = (doublings.ceil().exp2() - 1.0).max(1.0);
                (plain(self.theta * alpha.powf(dim / (dim - 2.0))), 1.0)
            }
            RopeScaling::Yarn { factor, beta_fast, beta_slow, original, attention, truncate } => (
                self.yarn(plain(self.theta), *factor, (*beta_fast, *beta_slow), *original, *truncate),
                *attention,
            ),
        };
        (frequencies.into_iter().map(|f| f as f32).collect(), factor as f32)
    }

    /// Interpolates dimensions that turn rarely within the original context, keeps those that turn often.
    fn yarn(
        &self,
        plain: Vec<f64>,
        factor: f64,
        beta: (f64, f64),
        original: usize,
        truncate: bool,
    ) -> Vec<f64> {
        let dim = self.rotary_dim as f64;
        let dimension_of =
            |turns: f64| dim * (original as f64 / (turns * 2.0 * PI)).ln() / (2.0 * self.theta.ln());
        let (mut low, mut high) = (dimension_of(beta.0), dimension_of(beta.1));
        if truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        (low, high) = (low.max(0.0), high.min(dim - 1.0));
        if low == high {
            high += 0.001;
        }
        let blend = |(i, f): (usize, f64)| {
            let ramp = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
            f / factor * ramp + f * (1.0 - ramp)
        };
        plain.into_iter().enumerate().map(blend).collect()
    }
}

/// What a configuration says of its rotary positions, in one object.
pub(super) fn rope_parameters(config: &Config) -> Result<Config> {
    let none = || Config { path: config.path.clone(), values: Default::default() };
    let newer = config.object("rope_parameters")?.unwrap_or_else(none);
    let older = config.object("rope_scaling")?.filter(|older| !older.values.is_empty());
    let mut all = older.unwrap_or_else(|| newer.clone());
    for key in ["rope_theta", "partial_rotary_factor"] {
        if let (None, Some(value)) = (all.get(key), newer.get(key).or(config.get(key))) {
            all.values.insert(key.to_owned(), value.clone());
        }
    }
    Ok(all)
}

/// Dimensions of a head that are rotated where only a part of it is.
pub(super) fn rotary_dim(config: &Config, head_dim: usize, default: f64) -> Result<usize> {
    let part = rope_parameters(config)?.number_or("partial_rotary_factor", default)?;
    Ok((head_dim as f64 * part) as usize)
}

impl RopeScaling {
    /// Reads the object `config` of the configuration `model`.
    fn read(config: &Config, model: &Config, rotary_dim: usize, max_positions: usize) -> Result<RopeScaling> {
        let key = if config.get("rope_type").is_some() { "rope_type" } else { "type" };
        if config.get(key).is_none() {
            return Ok(RopeScaling::None);
        }
        // Where both are there, the one beside the object counts (Phi-3).
        let trained = "original_max_position_embeddings";
        let place = if model.get(trained).is_some() { model } else { config };
        let original = || place.size_or(trained, max_positions);
        Ok(match config.text(key)? {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: factor(config)? },
            "dynamic" => RopeScaling::Dynamic { factor: factor(config)?, original: max_positions },
            "llama3" => RopeScaling::Llama3 {
                factor: factor(config)?,
                low: config.number("low_freq_factor")?,
                high: config.number("high_freq_factor")?,
                original: original()?,
            },
            // The first Phi-3 configurations called theirs so.
            "yarn" | "su" | "longrope" if config.get("long_factor").is_some() => {
                long(config, rotary_dim, (original()?, max_positions))?
            }
            "yarn" => {
                let factor = factor(config)?;
                RopeScaling::Yarn {
                    factor,
                    beta_fast: config.number_or("beta_fast", 32.0)?,
                    beta_slow: config.number_or("beta_slow", 1.0)?,
                    original: original()?,
                    attention: yarn_attention(config, factor)?,
                    truncate: config.flag_or("truncate", true)?,
                }
            }
            "longrope" | "su" => return Err(config.error("rope_scaling.long_factor", "is missing")),
            other => {
                let message =
                    format!("is `{other}`; supported are default, linear, dynamic, llama3, yarn, longrope");
                return Err(config.error(&format!("rope_scaling.{key}"), message));
            }
        })
    }
}

/// `longrope`; without a factor it is how far the context was stretched.
fn long(config: &Config, rotary_dim: usize, (original, positions): (usize, usize)) -> Result<RopeScaling> {
    let divisors = |key: &str| -> Result<Vec<f64>> {
        let list = config.numbers(key)?;
        if list.len() == rotary_dim / 2 {
            return Ok(list);
        }
        let message = format!("has {} entries, but {} frequencies are rotated", list.len(), rotary_dim / 2);
        Err(config.error(&format!("rope_scaling.{key}"), message))
    };
    let factor = config.number_or("factor", positions as f64 / original as f64)?;
    let attention = match config.get("attention_factor") {
        Some(_) => config.number("attention_factor")?,
        None if factor <= 1.0 => 1.0,
        None => (1.0 + factor.ln() / (original as f64).ln()).sqrt(),
    };
    Ok(RopeScaling::Long {
        short: divisors("short_factor")?,
        long: divisors("long_factor")?,
        original,
        attention,
    })
}

fn factor(config: &Config) -> Result<f64> {
    let factor = config.number("factor")?;
    if factor >= 1.0 {
        return Ok(factor);
    }
    let message = format!("must be at least 1, found {factor}");
    Err(Error::file(&config.path, format!("`rope_scaling.factor` {message}")))
}

/// The factor that keeps attention's temperature: 0.1 · mscale · ln(factor) + 1, or a quotient of two.
fn yarn_attention(config: &Config, factor: f64) -> Result<f64> {
    let mscale = |scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
    if config.get("attention_factor").is_some() {
        return config.number("attention_factor");
    }
    let (m, all) = (config.number_or("mscale", 0.0)?, config.number_or("mscale_all_dim", 0.0)?);
    Ok(if m != 0.0 && all != 0.0 { mscale(m) / mscale(all) } else { mscale(1.0) })
}
