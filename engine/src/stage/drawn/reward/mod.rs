//! What answers are worth: a model's score, that of a server, rules, or the sum of them.

mod rules;

use recipe::{Recipe, RewardModelType, RewardRule};

use self::rules::Rule;
use super::{Sample, batch_of};
use crate::autograd::Tape;
use crate::method::Loaded;
use crate::model::{Decoder, Pass, ValueHead};
use crate::stage::rm;
use crate::text::scores;
use crate::{Error, Result};

/// A model that scores sequences.
pub(crate) struct Scorer {
    pub decoder: Decoder,
    pub head: ValueHead,
}

/// What scores the answers of a run.
pub(super) struct Rewards {
    model: Option<ByModel>,
    /// With their weights.
    rules: Vec<(Rule, f64)>,
}

struct ByModel {
    /// None where it is a model in this process.
    server: Option<String>,
    weight: f64,
}

impl Rewards {
    /// # Errors
    /// If a rule cannot be used.
    pub(super) fn of(recipe: &Recipe) -> Result<Rewards> {
        let rules = recipe.rules().map_err(|problem| Error::recipe("reward_rules", problem.to_string()))?;
        let rules = rules.iter().map(|RewardRule { kind, weight }| Ok((Rule::of(kind)?, *weight)));
        let model = recipe.reward_model().map(|(kind, name)| ByModel {
            server: (kind == RewardModelType::Api).then(|| name.to_owned()),
            weight: recipe.reward_model_weight,
        });
        Ok(Rewards { model, rules: rules.collect::<Result<_>>()? })
    }

    /// Gives batches of answers their scores.
    ///
    /// # Errors
    /// If the model fails, or the server does not answer.
    pub(super) fn score(&self, loaded: &Loaded, batches: &mut [Vec<Sample>]) -> Result<()> {
        for batch in batches {
            let by_model = self.model.as_ref().map(|model| model.scores(loaded, batch)).transpose()?;
            for (place, sample) in batch.iter_mut().enumerate() {
                let mut add = |name: &str, score: f64, weight: f64| {
                    sample.score += weight * score;
                    sample.scores.push((name.to_owned(), score));
                };
                if let (Some(scores), Some(model)) = (&by_model, &self.model) {
                    add("model", scores[place], model.weight);
                }
                let known = loaded.tokenizer.decode(&sample.known, true)?;
                for (rule, weight) in &self.rules {
                    add(rule.name(), rule.score(&sample.text, sample.answer.len(), &known), *weight);
                }
            }
        }
        Ok(())
    }
}

impl ByModel {
    fn scores(&self, loaded: &Loaded, batch: &[Sample]) -> Result<Vec<f64>> {
        if let Some(address) = &self.server {
            let text = |Sample { prompt, answer, .. }: &Sample| {
                loaded.tokenizer.decode(&[&prompt[..], answer].concat(), true)
            };
            let texts = batch.iter().map(text).collect::<Result<Vec<_>, _>>()?;
            return Ok(scores::ask(address, &texts)?);
        }
        let Some(Scorer { decoder, head }) = &loaded.scorer else {
            return Err(Error::Training("there is no reward model".to_owned()));
        };
        Ok(rm::scores(decoder, head, &Tape::off(), &batch_of(batch), Pass::default())?.0)
    }
}
