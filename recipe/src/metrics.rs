//! What a stage measures: numbers by name, from the trainer to the chart.

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Mean loss of the steps since the last report; every stage has one.
pub const LOSS: &str = "loss";
/// Global L2 norm of the gradients before clipping.
pub const GRAD_NORM: &str = "grad_norm";
/// The learning rate of a step, of the group that has the recipe's own.
pub const LEARNING_RATE: &str = "learning_rate";

/// Steps that were skipped so far because their loss was no number; measured where there was one.
pub const SKIPPED: &str = "skipped_steps";

/// How the names of an evaluation's metrics begin, as in transformers: `eval_loss` belongs to `loss`.
pub const EVAL_PREFIX: &str = "eval_";
/// Mean loss of an evaluation's examples.
pub const EVAL_LOSS: &str = "eval_loss";
/// The share of labels that have the largest logit.
pub const EVAL_ACCURACY: &str = "eval_accuracy";
/// e to the power of the mean loss.
pub const EVAL_PERPLEXITY: &str = "eval_perplexity";
/// Seconds that an evaluation took.
pub const EVAL_RUNTIME: &str = "eval_runtime";

/// An ordered map from names to numbers, in the order in which they were reported.
///
/// There are as many of these as points on a chart, so that equal names may be one piece of memory.
///
/// ```
/// use recipe::Metrics;
/// let metrics = Metrics::from([("loss", 0.5), ("rewards/chosen", 1.25)]);
/// assert_eq!(metrics.get("rewards/chosen"), Some(1.25));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(Vec<(Arc<str>, f64)>);

impl Metrics {
    /// The number of that name, NaN where one was measured that JSON cannot hold.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| *value)
    }

    /// Puts `value` at the end, or in the place of the one that has this name.
    pub fn set(&mut self, name: impl Into<Arc<str>>, value: f64) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Names with their numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Whether `other` has these names in this order. Shared names are told by their address.
    pub fn has_names_of(&self, other: &Metrics) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        self.0.len() == other.0.len() && pairs.all(|((a, _), (b, _))| Arc::ptr_eq(a, b) || a == b)
    }

    /// Uses the names of `other` where they are equal, and lets go of the own ones.
    pub fn share_names(&mut self, other: &Metrics) {
        for ((own, _), (known, _)) in self.0.iter_mut().zip(&other.0).filter(|((a, _), (b, _))| a == b) {
            *own = known.clone();
        }
    }
}

impl<N: Into<Arc<str>>> Extend<(N, f64)> for Metrics {
    fn extend<I: IntoIterator<Item = (N, f64)>>(&mut self, items: I) {
        items.into_iter().for_each(|(name, value)| self.set(name, value));
    }
}

impl<N: Into<Arc<str>>> FromIterator<(N, f64)> for Metrics {
    fn from_iter<I: IntoIterator<Item = (N, f64)>>(items: I) -> Metrics {
        let mut metrics = Metrics::default();
        metrics.extend(items);
        metrics
    }
}

impl<const COUNT: usize> From<[(&str, f64); COUNT]> for Metrics {
    fn from(items: [(&str, f64); COUNT]) -> Metrics {
        items.into_iter().collect()
    }
}

/// JSON has no NaN and no infinity: they are written as `null`, and read as NaN.
impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(name, value)| (name, value.is_finite().then_some(value))))
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Metrics, D::Error> {
        struct Named;

        impl<'de> Visitor<'de> for Named {
            type Value = Metrics;

            fn expecting(&self, text: &mut fmt::Formatter) -> fmt::Result {
                text.write_str("numbers by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metrics, A::Error> {
                let mut metrics = Metrics::default();
                while let Some((name, value)) = map.next_entry::<String, Option<f64>>()? {
                    metrics.set(name, value.unwrap_or(f64::NAN));
                }
                Ok(metrics)
            }
        }

        deserializer.deserialize_map(Named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_order_and_come_once() {
        let mut metrics = Metrics::from([("loss", 1.0), ("rewards/chosen", 0.5), ("loss", 2.0)]);
        metrics.set("kl", f64::NAN);
        let text = serde_json::to_string(&metrics).unwrap();
        assert_eq!(text, r#"{"loss":2.0,"rewards/chosen":0.5,"kl":null}"#);
        let read: Metrics = serde_json::from_str(&text).unwrap();
        assert!(read.has_names_of(&metrics) && read.get("kl").is_some_and(f64::is_nan));
        assert_eq!((read.get("loss"), read.get("accuracy")), (Some(2.0), None));
        assert!(serde_json::from_str::<Metrics>(r#"{"loss":"low"}"#).is_err());
    }

    #[test]
    fn equal_names_are_shared() {
        let first = Metrics::from([("loss", 1.0), ("kl", 0.1)]);
        let mut second = Metrics::from([("loss", 2.0), ("reward", 0.2)]);
        second.share_names(&first);
        let shared: Vec<bool> = first.names().zip(second.names()).map(|(a, b)| Arc::ptr_eq(a, b)).collect();
        assert_eq!((shared, second.get("reward")), (vec![true, false], Some(0.2)));
        assert!(!second.has_names_of(&first));
    }
}
