//! The rule that a recipe asks for.

use std::collections::BTreeMap;

use recipe::{BadamMask, BadamMode, LowRank, LowRankKind, Optim, Problem, Recipe};

use super::projector::{Projector, Source};
use super::{
    AdEmaMix, Adafactor, Adagrad, AdamMini, AdamW, Apollo, EightBit, GaLore, Inner, Lion, Muon, Ratio,
    RmsProp, Rule, Sgd,
};
use crate::autograd::ParamId;
use crate::model::{Decoder, linears_with};
use crate::{Error, Result};

/// Seeds of projections have nothing to do with other draws of a run.
const PROJECTIONS: u64 = 0xa9_0110;

/// The rule of a recipe for a model.
///
/// # Errors
/// If settings do not fit, or modules that are named are not in the model.
pub(super) fn rule(recipe: &Recipe, decoder: &Decoder) -> Result<Box<dyn Rule>> {
    let adam = AdamW::of(recipe);
    if recipe.use_muon {
        return Ok(Box::new(Muon { momentum: 0.95, rest: AdamW { eps_first: true, ..adam } }));
    }
    if recipe.use_adam_mini {
        let head_dim = decoder.blocks.first().map_or(1, |block| block.attention.spec.shape.head_dim);
        return Ok(Box::new(AdamMini { adam, head_dim }));
    }
    if recipe.use_badam && recipe.badam_mode == BadamMode::Ratio {
        let scattered = recipe.badam_mask_mode == BadamMask::Scatter;
        return Ok(Box::new(Ratio::new(adam, recipe.badam_update_ratio, scattered, recipe.seed)));
    }
    let rule = match recipe.low_rank().map_err(settings)? {
        Some(low_rank) => projected(recipe, &low_rank, decoder)?,
        None => plain(recipe).map_err(settings)?,
    };
    Ok(if recipe.optim.is_8bit() { Box::new(EightBit(rule)) } else { rule })
}

fn settings(problem: Problem) -> Error {
    Error::recipe("optim_args", problem.message.en)
}

/// GaLore or APOLLO.
fn projected(recipe: &Recipe, low_rank: &LowRank, decoder: &Decoder) -> Result<Box<dyn Rule>> {
    let trained = linears_with(decoder, &low_rank.targets, low_rank.key)?;
    let trained = trained.into_iter().filter_map(|linear| linear.weight.trained());
    let matrices = trained.filter(|param| param.tensor.rank() == 2);
    let targets: BTreeMap<ParamId, u64> = matrices.map(|param| param.id).zip(0..).collect();
    let adam = AdamW { eps_first: true, ..AdamW::of(recipe) };
    let projector = |source: Source| Projector {
        kind: low_rank.side,
        rank: low_rank.rank,
        interval: low_rank.interval,
        source,
    };
    Ok(match low_rank.kind {
        LowRankKind::GaLore => {
            let inner = if recipe.optim.is_adafactor() {
                Inner::Adafactor(Adafactor::default())
            } else {
                Inner::AdamW(adam)
            };
            let projector = projector(Source::Singular);
            Box::new(GaLore { targets, projector, scale: low_rank.scale, inner })
        }
        LowRankKind::Apollo { singular, by_tensor, scale_front } => {
            let seed = recipe.seed ^ PROJECTIONS;
            let source = if singular { Source::Singular } else { Source::Random { seed } };
            Box::new(Apollo {
                targets,
                projector: projector(source),
                scale: low_rank.scale,
                by_tensor,
                scale_front,
                adam,
            })
        }
    })
}

/// The rule that `optim` names, with its settings.
fn plain(recipe: &Recipe) -> Result<Box<dyn Rule>, Problem> {
    let setting = |name: &str, unset: f64| -> Result<f64, Problem> {
        Ok(recipe.optim_setting(name, |number| number >= 0.0)?.unwrap_or(unset))
    };
    let (beta1, beta2) = (recipe.adam_beta1, recipe.adam_beta2);
    Ok(match recipe.optim {
        Optim::Sgd => Box::new(Sgd {
            momentum: setting("momentum", 0.0)?,
            dampening: setting("dampening", 0.0)?,
            nesterov: recipe.optim_switch("nesterov")?,
        }),
        Optim::Lomo => Box::new(Sgd::default()),
        Optim::Adagrad => {
            Box::new(Adagrad { eps: setting("eps", 1e-10)?, rate_decay: setting("lr_decay", 0.0)? })
        }
        Optim::Lion | Optim::Lion8bit => Box::new(Lion { beta1, beta2 }),
        Optim::Adafactor => Box::new(Adafactor::default()),
        Optim::AdaLomo => Box::new(Adafactor { least_size: Some(1e-3), ..Adafactor::default() }),
        Optim::RmsProp | Optim::RmsProp8bit => Box::new(RmsProp {
            alpha: setting("alpha", 0.99)?,
            eps: setting("eps", 1e-8)?,
            momentum: setting("momentum", 0.0)?,
            centered: recipe.optim_switch("centered")?,
        }),
        Optim::AdEmaMix | Optim::AdEmaMix8bit => Box::new(AdEmaMix {
            beta1: setting("beta1", beta1)?,
            beta2: setting("beta2", beta2)?,
            beta3: setting("beta3", 0.9999)?,
            alpha: setting("alpha", 5.0)?,
            eps: setting("eps", recipe.adam_epsilon)?,
        }),
        // Those on projected gradients are made elsewhere.
        _ => Box::new(AdamW::of(recipe)),
    })
}
