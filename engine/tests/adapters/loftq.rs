//! Models rounded to what four bits hold, with adapters that begin with what they lost.

use std::path::Path;

use engine::adapter::Adapter;
use engine::autograd::Param;
use engine::model::{Decoder, Tuning};
use engine::weights::{self, ADAPTERS, LoftQ, ModelFiles, loftq};
use tempfile::TempDir;

use super::{FAMILIES, write_model};

fn settings(target: &str, turns: usize) -> LoftQ {
    LoftQ { rank: 4, alpha: 8.0, dropout: 0.0, targets: vec![target.to_owned()], turns }
}

/// √Σ (a − b)²
fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
}

/// √Σ (a − b)² over all weights.
fn apart(a: &Decoder, b: &Decoder) -> f32 {
    let flat = |param: &Param| param.to_f32().unwrap();
    let pairs = a.params().into_iter().zip(b.params());
    pairs.map(|(a, b)| distance(&flat(&a), &flat(&b)).powi(2)).sum::<f32>().sqrt()
}

/// The rounded model with its adapter in its weights.
fn merged(folder: &Path) -> Decoder {
    let adapter = Adapter::open(&folder.join(ADAPTERS)).unwrap();
    weights::open(folder, None).unwrap().merged(&Tuning::default(), &[adapter]).unwrap()
}

/// Rounded models with their adapters are closer to what they were than without, on every family, and rounding them once
/// more changes nothing.
#[test]
fn adapters_begin_with_what_rounding_has_lost() {
    for (case, linear) in FAMILIES {
        let [model, output] = [(); 2].map(|()| TempDir::new().unwrap());
        let build = |files: &ModelFiles| files.build(&Tuning::default()).unwrap();
        let before = build(&write_model(case, false, model.path()));
        let (rounded, again) = (output.path().join("rounded"), output.path().join("again"));
        let count = loftq(model.path(), &settings(linear, 1), &rounded).unwrap();
        assert!(count > 0, "{case}");
        let base = build(&weights::open(&rounded, None).unwrap());
        let (near, far) = (apart(&merged(&rounded), &before), apart(&base, &before));
        assert!(far > 0.0 && near < 0.97 * far, "{case}: {near} with the adapter, {far} without");

        loftq(&rounded, &settings(linear, 1), &again).unwrap();
        let twice = build(&weights::open(&again, None).unwrap());
        assert!(apart(&base, &twice) < 1e-5 * far, "{case}");
        let error = loftq(model.path(), &settings(linear, 1), &rounded).unwrap_err().to_string();
        assert!(error.contains("holds a model already"), "{error}");
    }
}

/// Further turns bring weights and adapter together closer to the weights there were.
#[test]
fn turns_bring_the_sum_closer() {
    let model = TempDir::new().unwrap();
    let before = write_model("llama", false, model.path()).build(&Tuning::default()).unwrap();
    let lost = |turns: usize| {
        let output = TempDir::new().unwrap();
        loftq(model.path(), &settings("all", turns), output.path()).unwrap();
        apart(&merged(output.path()), &before)
    };
    let (one, five) = (lost(1), lost(5));
    assert!(one > 0.0 && five < one, "{five} after five turns, {one} after one");
}
