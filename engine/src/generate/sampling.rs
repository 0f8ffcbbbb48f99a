//! Choosing the next token, in the order transformers applies its steps: repetition penalty, temperature, top-k,
//! top-p, then a draw.

use std::collections::BTreeSet;

use recipe::Sampling;

use crate::rng::Rng;

/// Draws the tokens of one answer.
pub struct Sampler {
    settings: Sampling,
    rng: Rng,
    /// Tokens that occurred in the prompt or the answer.
    seen: BTreeSet<u32>,
}

impl Sampler {
    /// Draws what follows a prompt, whose tokens count for the penalty of repetitions.
    pub fn new(settings: &Sampling, prompt: &[u32]) -> Self {
        let clock = || {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(0, |now| now.as_nanos() as u64)
        };
        Sampler {
            rng: Rng::new(settings.seed.unwrap_or_else(clock)),
            seen: prompt.iter().copied().collect(),
            settings: settings.clone(),
        }
    }

    /// The next token, given the logits of all.
    pub fn draw(&mut self, mut logits: Vec<f32>) -> u32 {
        self.penalise(&mut logits);
        let greedy = !self.settings.do_sample || self.settings.temperature <= 0.0;
        let token = if greedy { likeliest(&logits) } else { self.sample(&logits) };
        self.seen.insert(token);
        token
    }

    fn penalise(&self, logits: &mut [f32]) {
        let penalty = self.settings.repetition_penalty as f32;
        if penalty == 1.0 {
            return;
        }
        for token in &self.seen {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }

    fn sample(&mut self, logits: &[f32]) -> u32 {
        let temperature = self.settings.temperature as f32;
        let mut order: Vec<(u32, f32)> =
            logits.iter().enumerate().map(|(i, x)| (i as u32, x / temperature)).collect();
        let keep = match self.settings.top_k {
            0 => order.len(),
            k => k.min(order.len()),
        };
        let by_logit = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if keep < order.len() {
            order.select_nth_unstable_by(keep, by_logit);
            order.truncate(keep);
        }
        order.sort_unstable_by(by_logit);
        let top = order.first().map_or(0.0, |best| best.1);
        let weights: Vec<f64> = order.iter().map(|(_, x)| ((x - top) as f64).exp()).collect();
        let total: f64 = weights.iter().sum();
        // A token stays as long as those before it have not reached top-p.
        let mut before = 0.0;
        let kept = weights
            .iter()
            .take_while(|weight| {
                let stays = before < self.settings.top_p * total;
                before += **weight;
                stays
            })
            .count()
            .max(1);
        let mut target = self.rng.uniform() * weights[..kept].iter().sum::<f64>();
        for ((token, _), weight) in order.iter().zip(&weights[..kept]) {
            target -= weight;
            if target < 0.0 {
                return *token;
            }
        }
        order[kept - 1].0
    }
}

/// The first of the largest logits.
fn likeliest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (i, x) in logits.iter().enumerate() {
        if *x > logits[best] {
            best = i;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(settings: Sampling, logits: &[f32]) -> Vec<usize> {
        let mut sampler = Sampler::new(&Sampling { seed: Some(1), ..settings }, &[]);
        let mut counts = vec![0; logits.len()];
        for _ in 0..4000 {
            sampler.seen.clear();
            counts[sampler.draw(logits.to_vec()) as usize] += 1;
        }
        counts
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let all = Sampling { temperature: 1.0, top_p: 1.0, top_k: 0, ..Sampling::default() };
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        let got = counts(all.clone(), &logits);
        assert!(
            (got[0] as f64 / 4000.0 - 0.5).abs() < 0.03 && (got[2] as f64 / 4000.0 - 0.2).abs() < 0.03,
            "{got:?}"
        );
        assert_eq!(counts(Sampling { top_k: 2, ..all.clone() }, &logits)[2], 0);
        // 0.5 does not reach 0.6, so the second stays; the third begins at 0.8.
        assert_eq!(counts(Sampling { top_p: 0.6, ..all.clone() }, &logits)[2], 0);
        assert!(counts(Sampling { top_p: 0.6, ..all }, &logits)[1] > 0);
    }

    #[test]
    fn greedy_takes_the_likeliest_and_penalty_turns_it() {
        let greedy = Sampling { do_sample: false, ..Sampling::default() };
        assert_eq!(Sampler::new(&greedy, &[]).draw(vec![0.1, 2.0, 1.9]), 1);
        let penalised = Sampling { repetition_penalty: 1.2, ..greedy };
        assert_eq!(Sampler::new(&penalised, &[1]).draw(vec![0.1, 2.0, 1.9]), 2);
    }
}
