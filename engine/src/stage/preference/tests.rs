use std::sync::Arc;

use super::*;
use crate::kernel::attention::Span;
use crate::ops::head::Label;

/// Two pairs of sequences with three and two, two and three labels.
fn batch() -> Batch {
    let lengths = [4, 3, 3, 4];
    let mut batch = Batch { together: 2, ..Batch::default() };
    for length in lengths {
        let start = batch.ids.len();
        batch.ids.extend(vec![0; length]);
        Arc::make_mut(&mut batch.spans).push(Span::new(start, length));
        batch.labels.extend((start..start + length - 1).map(|row| Label { row: row as u32, token: 0 }));
    }
    batch
}

const REFERENCE: [f64; 4] = [-2.0, -1.5, -0.5, -3.0];
const LOSSES: [f32; 10] = [0.9, 1.2, 0.4, 0.7, 0.2, 0.6, 1.5, 1.1, 0.3, 0.8];

fn stages() -> Vec<(&'static str, Preference)> {
    let stage = |loss: Box<dyn PairLoss>, has_reference| Preference {
        loss,
        beta: 0.3,
        ftx: 0.0,
        beyond: None,
        has_reference,
    };
    let beta = 0.3;
    let sigmoid = || Box::new(sigmoid::Sigmoid { beta, smoothing: 0.1 });
    vec![
        ("sigmoid", stage(sigmoid(), true)),
        ("ftx", Preference { ftx: 0.7, ..stage(sigmoid(), true) }),
        ("ftx of means", Preference { ftx: 0.7, ..stage(Box::new(ipo::Ipo { beta }), true) }),
        ("lengths", Preference { beyond: Some(0.4), ..stage(sigmoid(), true) }),
        ("hinge", stage(Box::new(hinge::Hinge { beta }), true)),
        ("ipo", stage(Box::new(ipo::Ipo { beta }), true)),
        ("kto_pair", stage(Box::new(kto_pair::KtoPair { beta }), true)),
        ("orpo", stage(Box::new(orpo::Orpo { beta }), false)),
        ("simpo", stage(Box::new(simpo::Simpo { beta, gamma: 0.5 }), false)),
    ]
}

fn seeds(stage: &Preference, losses: [f32; 10]) -> Seeds {
    let rows = losses.map(|loss| RowLoss { loss, correct: false });
    let reference = if stage.has_reference { REFERENCE } else { [0.0; 4] };
    stage.seeds(&batch(), &rows, &reference, 0.5)
}

#[test]
fn weights_are_the_derivative_of_the_loss() {
    for (name, stage) in stages() {
        let found = seeds(&stage, LOSSES);
        for row in 0..LOSSES.len() {
            let at = |change: f32| {
                let mut losses = LOSSES;
                losses[row] += change;
                seeds(&stage, losses).loss
            };
            let slope = (at(1e-3) - at(-1e-3)) / 2e-3;
            let weight = f64::from(found.weights[row]);
            assert!((weight - slope).abs() < 2e-4, "{name}, row {row}: {weight}, by differences {slope}");
        }
        let margin = found.measured["rewards/chosen"] - found.measured["rewards/rejected"];
        assert!((found.measured["rewards/margins"] - margin).abs() < 1e-9);
    }
}

/// Where model and reference agree, the losses are known.
#[test]
fn losses_of_equal_models() {
    let rows = LOSSES.map(|loss| RowLoss { loss, correct: true });
    let of = |loss: Box<dyn PairLoss>| {
        let stage = Preference { loss, beta: 0.1, ftx: 0.0, beyond: None, has_reference: true };
        let reference = log_probs(&batch(), &rows, &stage.shares(&batch(), None));
        stage.seeds(&batch(), &rows, &reference, 0.5).loss
    };
    let beta = 0.1;
    let known = [
        (of(Box::new(sigmoid::Sigmoid { beta, smoothing: 0.0 })), 2f64.ln()),
        (of(Box::new(hinge::Hinge { beta })), 1.0),
        (of(Box::new(ipo::Ipo { beta })), 25.0),
        (of(Box::new(kto_pair::KtoPair { beta })), 0.5),
    ];
    assert!(known.iter().all(|(found, right)| (found - right).abs() < 1e-9), "{known:?}");
}
