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
}

impl JobKind {
    /// Each of them.
    pub const ALL: [JobKind; 2] = [JobKind::Train, JobKind::Evaluate];

    /// The name used in the database and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            JobKind::Train => "train",
            JobKind::Evaluate => "evaluate",
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
        if self.do_train { JobKind::Train } else { JobKind::Evaluate }
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
}
