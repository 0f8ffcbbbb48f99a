//! Kinds of work that a recipe asks for.

use serde::{Deserialize, Serialize};

use crate::Recipe;

/// What is to be done with a recipe's model and data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Train, and evaluate on the way.
    Train,
    /// Evaluate alone.
    Evaluate,
    /// Answer held-out data, and measure the answers.
    Predict,
}

impl JobKind {
    /// Each of them.
    pub const ALL: [JobKind; 3] = [JobKind::Train, JobKind::Evaluate, JobKind::Predict];

    /// The name used in the database and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            JobKind::Train => "train",
            JobKind::Evaluate => "evaluate",
            JobKind::Predict => "predict",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<JobKind> {
        JobKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Recipe {
    /// The kind of work that the recipe asks for: training goes before evaluation, which is part of it then.
    pub fn job(&self) -> JobKind {
        match (self.do_train, self.do_predict || self.predict_with_generate) {
            (true, _) => JobKind::Train,
            (false, true) => JobKind::Predict,
            (false, false) => JobKind::Evaluate,
        }
    }

    /// Whether answers are drawn.
    pub fn generates(&self) -> bool {
        self.job() == JobKind::Predict && self.predict_with_generate
    }

    /// The data sets of a prediction: those of the evaluation, else all that the recipe names.
    pub fn predicted_on(&self) -> &[String] {
        if self.eval_dataset.is_empty() { &self.dataset } else { &self.eval_dataset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for kind in JobKind::ALL {
            assert_eq!(JobKind::from_name(kind.name()), Some(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("{:?}", kind.name()));
        }
    }

    #[test]
    fn who_trains_evaluates_on_the_way() {
        let recipe = |do_train| Recipe { do_train, do_eval: true, ..Recipe::default() };
        assert_eq!([true, false].map(|trains| recipe(trains).job()), [JobKind::Train, JobKind::Evaluate]);
    }

    #[test]
    fn a_prediction_is_on_the_data_there_are() {
        let mut recipe = Recipe { do_predict: true, dataset: vec!["a".into()], ..Recipe::default() };
        assert_eq!((recipe.job(), recipe.predicted_on()), (JobKind::Predict, &["a".to_owned()][..]));
        recipe.eval_dataset = vec!["b".into()];
        assert_eq!(recipe.predicted_on(), ["b"]);
        assert!(!recipe.generates());
        let measured = Recipe { do_eval: true, predict_with_generate: true, ..Recipe::default() };
        assert_eq!((measured.job(), measured.generates()), (JobKind::Predict, true));
    }
}
