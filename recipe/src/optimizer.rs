//! What the optimizer is made of: settings from `optim_args`, and projections of gradients by GaLore and APOLLO.

use crate::args::{ApolloProjection, ApolloScale, ApolloSide, Optim, Projection, Recipe};
use crate::named;
use crate::problem::Problem;
use crate::scalar::real_number;

const KEY: &str = "optim_args";

/// GaLore or APOLLO: which matrices have their gradients projected, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRank {
    /// Ends of module names; `all` is every linear layer but the output head.
    pub targets: Vec<String>,
    /// The argument that names those.
    pub key: &'static str,
    /// Rows or columns that are left of a gradient.
    pub rank: usize,
    /// Steps that a projection is used for.
    pub interval: u64,
    /// Scale of the update.
    pub scale: f64,
    /// Which side is projected.
    pub side: Projection,
    /// How steps are made of what is left.
    pub kind: LowRankKind,
}

/// The two ways to move by a projected gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowRankKind {
    /// The step is projected back.
    GaLore,
    /// The step tells how to scale the gradient.
    Apollo {
        /// The projection is made of singular vectors rather than drawn.
        singular: bool,
        /// The scale is one for a whole matrix.
        by_tensor: bool,
        /// The scale comes before the limit on growth.
        scale_front: bool,
    },
}

impl Optim {
    /// Settings that `optim_args` may have, as transformers reads them.
    pub const fn settings(self) -> &'static [&'static str] {
        match self {
            Optim::Sgd => &["momentum", "dampening", "nesterov"],
            Optim::Adagrad => &["lr_decay", "eps"],
            Optim::RmsProp | Optim::RmsProp8bit => &["momentum", "alpha", "eps", "centered"],
            Optim::AdEmaMix | Optim::AdEmaMix8bit => &["beta1", "beta2", "beta3", "alpha", "eps"],
            Optim::GaloreAdamw
            | Optim::GaloreAdamw8bit
            | Optim::GaloreAdafactor
            | Optim::GaloreAdamwLayerwise
            | Optim::GaloreAdamw8bitLayerwise
            | Optim::GaloreAdafactorLayerwise => &["rank", "update_proj_gap", "scale", "proj_type"],
            Optim::ApolloAdamw | Optim::ApolloAdamwLayerwise => {
                &["rank", "proj", "scale_type", "update_proj_gap", "scale", "proj_type"]
            }
            Optim::AdamwTorch
            | Optim::Adamw8bit
            | Optim::Adafactor
            | Optim::Lion
            | Optim::Lion8bit
            | Optim::Lomo
            | Optim::AdaLomo => &[],
        }
    }

    /// Whether its means are kept in 8 bits.
    pub const fn is_8bit(self) -> bool {
        matches!(
            self,
            Optim::Adamw8bit
                | Optim::Lion8bit
                | Optim::RmsProp8bit
                | Optim::AdEmaMix8bit
                | Optim::GaloreAdamw8bit
                | Optim::GaloreAdamw8bitLayerwise
        )
    }

    /// Whether it is AdamW, in whatever precision.
    pub const fn is_adamw(self) -> bool {
        matches!(self, Optim::AdamwTorch | Optim::Adamw8bit)
    }

    /// Whether it is Adafactor on projected gradients.
    pub const fn is_adafactor(self) -> bool {
        matches!(self, Optim::Adafactor | Optim::GaloreAdafactor | Optim::GaloreAdafactorLayerwise)
    }

    /// Whether it is GaLore, by a name of transformers.
    pub const fn is_galore(self) -> bool {
        matches!(
            self,
            Optim::GaloreAdamw
                | Optim::GaloreAdamw8bit
                | Optim::GaloreAdafactor
                | Optim::GaloreAdamwLayerwise
                | Optim::GaloreAdamw8bitLayerwise
                | Optim::GaloreAdafactorLayerwise
        )
    }

    /// Whether it is APOLLO, by a name of transformers.
    pub const fn is_apollo(self) -> bool {
        matches!(self, Optim::ApolloAdamw | Optim::ApolloAdamwLayerwise)
    }

    /// Whether each parameter moves by itself.
    const fn is_layerwise(self) -> bool {
        matches!(
            self,
            Optim::GaloreAdamwLayerwise
                | Optim::GaloreAdamw8bitLayerwise
                | Optim::GaloreAdafactorLayerwise
                | Optim::ApolloAdamwLayerwise
        )
    }
}

impl Recipe {
    /// Whether each parameter moves by itself, as soon as gradients are complete: none are clipped together, and each is
    /// freed when its parameter has moved.
    pub fn is_layerwise(&self) -> bool {
        (self.use_galore && self.galore_layerwise)
            || (self.use_apollo && self.apollo_layerwise)
            || self.optim.is_layerwise()
            || matches!(self.optim, Optim::Lomo | Optim::AdaLomo)
    }

    /// Whether gradients are projected, by a switch or by the optimizer's name.
    pub fn is_low_rank(&self) -> bool {
        self.use_galore || self.use_apollo || self.optim.is_galore() || self.optim.is_apollo()
    }

    /// How gradients are projected, if they are.
    ///
    /// # Errors
    /// If a setting of `optim_args` does not fit.
    pub fn low_rank(&self) -> Result<Option<LowRank>, Problem> {
        if self.use_galore {
            return Ok(Some(LowRank {
                targets: self.galore_target.clone(),
                key: "galore_target",
                rank: self.galore_rank,
                interval: self.galore_update_interval as u64,
                scale: self.galore_scale,
                side: self.galore_proj_type,
                kind: LowRankKind::GaLore,
            }));
        }
        if self.use_apollo {
            return Ok(Some(LowRank {
                targets: self.apollo_target.clone(),
                key: "apollo_target",
                rank: self.apollo_rank,
                interval: self.apollo_update_interval as u64,
                scale: self.apollo_scale,
                side: match self.apollo_proj_type {
                    ApolloSide::Std => Projection::Std,
                    ApolloSide::Right => Projection::Right,
                    ApolloSide::Left => Projection::Left,
                },
                kind: LowRankKind::Apollo {
                    singular: self.apollo_proj == ApolloProjection::Svd,
                    by_tensor: self.apollo_scale_type == ApolloScale::Tensor,
                    scale_front: self.apollo_scale_front,
                },
            }));
        }
        if !self.is_low_rank() {
            return Ok(None);
        }
        let is_count = |number: f64| number >= 1.0 && number.fract() == 0.0;
        let is_apollo = self.optim.is_apollo();
        let side = match self.optim_name("proj_type")?.unwrap_or("std") {
            "std" => Projection::Std,
            "right" => Projection::Right,
            "left" => Projection::Left,
            "reverse_std" if !is_apollo => Projection::ReverseStd,
            "full" if !is_apollo => Projection::Full,
            other => return Err(refused("proj_type", other, is_apollo)),
        };
        let one_of = |name: &str, [first, second]: [&str; 2]| match self.optim_name(name)? {
            Some(typed) if typed == first => Ok(false),
            Some(typed) if typed == second => Ok(true),
            Some(typed) => Err(refused(name, typed, is_apollo)),
            None => Ok(false),
        };
        Ok(Some(LowRank {
            targets: self.optim_target_modules.iter().map(|name| all_linear(name)).collect(),
            key: "optim_target_modules",
            rank: self.optim_setting("rank", is_count)?.unwrap_or(128.0) as usize,
            interval: self.optim_setting("update_proj_gap", is_count)?.unwrap_or(200.0) as u64,
            scale: self.optim_setting("scale", |scale| scale > 0.0)?.unwrap_or(if is_apollo {
                1.0
            } else {
                0.25
            }),
            side,
            kind: match is_apollo {
                true => LowRankKind::Apollo {
                    singular: one_of("proj", ["random", "svd"])?,
                    by_tensor: one_of("scale_type", ["channel", "tensor"])?,
                    scale_front: false,
                },
                false => LowRankKind::GaLore,
            },
        }))
    }

    /// A number of `optim_args`.
    ///
    /// # Errors
    /// If it is none, or not allowed.
    pub fn optim_setting(&self, name: &str, allowed: impl Fn(f64) -> bool) -> Result<Option<f64>, Problem> {
        let Some(typed) = self.optim_name(name)? else { return Ok(None) };
        match real_number(typed) {
            Some(number) if allowed(number) => Ok(Some(number)),
            _ => Err(refused(name, typed, false)),
        }
    }

    /// A truth value of `optim_args`, false where it is not given.
    ///
    /// # Errors
    /// If it is neither true nor false.
    pub fn optim_switch(&self, name: &str) -> Result<bool, Problem> {
        match self.optim_name(name)?.map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0" | "no") => Ok(false),
            Some("true" | "1" | "yes") => Ok(true),
            Some(typed) => Err(refused(name, typed, false)),
        }
    }

    /// A setting of `optim_args` as typed.
    fn optim_name(&self, name: &str) -> Result<Option<&str>, Problem> {
        let taken = self.optim.settings();
        if let Some((unknown, _)) = self.optim_args.0.iter().find(|(name, _)| !taken.contains(&name.as_str()))
        {
            return Err(named::unknown(KEY, unknown, self.optim.name(), taken));
        }
        Ok(self.optim_args.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()))
    }

    /// What is wrong with `optim_args`.
    pub(crate) fn optim_args_problem(&self) -> Option<Problem> {
        let positive = |number: f64| number > 0.0;
        let share = |number: f64| (0.0..1.0).contains(&number);
        let checks = [
            self.optim_setting("momentum", share).err(),
            self.optim_setting("dampening", share).err(),
            self.optim_switch("nesterov").err(),
            self.optim_setting("lr_decay", |decay| decay >= 0.0).err(),
            self.optim_setting("eps", positive).err(),
            self.optim_switch("centered").err(),
            self.optim_setting("beta1", share).err(),
            self.optim_setting("beta2", share).err(),
            self.optim_setting("beta3", share).err(),
            self.optim_setting("alpha", |alpha| alpha >= 0.0 && (alpha < 1.0 || !self.is_rmsprop())).err(),
            self.low_rank().err(),
        ];
        checks.into_iter().flatten().next()
    }

    fn is_rmsprop(&self) -> bool {
        matches!(self.optim, Optim::RmsProp | Optim::RmsProp8bit)
    }
}

/// transformers' name for every linear layer, as `all`.
fn all_linear(name: &str) -> String {
    if matches!(name, "all-linear" | "all_linear") { "all".to_owned() } else { name.to_owned() }
}

fn refused(name: &str, typed: &str, is_apollo: bool) -> Problem {
    let wanted = match name {
        "momentum" | "dampening" | "beta1" | "beta2" | "beta3" => {
            words! { en: "a number from 0 on, below 1", zh: "不小于 0 且小于 1 的数值" }
        }
        "nesterov" | "centered" => words! { en: "true or false", zh: "true 或 false" },
        "rank" | "update_proj_gap" => words! { en: "a whole number above 0", zh: "大于 0 的整数" },
        "proj" => words! { en: "random or svd", zh: "random 或 svd" },
        "scale_type" => words! { en: "channel or tensor", zh: "channel 或 tensor" },
        "proj_type" if is_apollo => words! { en: "std, right or left", zh: "std、right 或 left" },
        "proj_type" => {
            words! { en: "std, reverse_std, right, left or full", zh: "std、reverse_std、right、left 或 full" }
        }
        "eps" | "scale" => words! { en: "a number above 0", zh: "大于 0 的数值" },
        "alpha" => {
            words! { en: "a number from 0 on, of rmsprop below 1", zh: "不小于 0 的数值（rmsprop 须小于 1）" }
        }
        _ => words! { en: "a number from 0 on", zh: "不小于 0 的数值" },
    };
    named::refused(KEY, name, typed, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &str) -> Result<Option<LowRank>, String> {
        let recipe = Recipe::parse_yaml(lines, &[]).expect(lines);
        match recipe.optim_args_problem() {
            Some(problem) => Err(problem.message.en),
            None => Ok(recipe.low_rank().expect(lines)),
        }
    }

    #[test]
    fn settings_of_projections_are_read() {
        let lines = "optim: apollo_adamw\noptim_args: rank=4,proj=svd,scale_type=tensor,update_proj_gap=7\n\
                     optim_target_modules: all-linear\n";
        let kind = LowRankKind::Apollo { singular: true, by_tensor: true, scale_front: false };
        let low_rank = found(lines).unwrap().unwrap();
        assert_eq!((low_rank.rank, low_rank.interval, low_rank.scale, low_rank.kind), (4, 7, 1.0, kind));
        assert_eq!(low_rank.targets, ["all"]);
        let low_rank = found("optim: galore_adamw_8bit\n").unwrap().unwrap();
        assert_eq!((low_rank.rank, low_rank.scale, low_rank.side), (128, 0.25, Projection::Std));
        let low_rank = found("use_galore: true\n").unwrap().unwrap();
        assert_eq!((low_rank.rank, low_rank.interval, low_rank.scale), (16, 200, 2.0));
        assert_eq!(found("optim: sgd\noptim_args: momentum=0.9, nesterov=true\n"), Ok(None));
    }

    #[test]
    fn settings_that_do_not_fit_are_refused() {
        for (lines, says) in [
            ("optim_args: rank=4\n", "`rank`, but `adamw_torch` takes no settings"),
            ("optim: sgd\noptim_args: alpha=1\n", "it takes momentum, dampening, nesterov"),
            ("optim: sgd\noptim_args: momentum=1\n", "give a number from 0 on, below 1"),
            ("optim: rmsprop\noptim_args: centered=much\n", "give true or false"),
            ("optim: apollo_adamw\noptim_args: proj_type=full\n", "give std, right or left"),
            ("optim: galore_adamw\noptim_args: rank=0\n", "give a whole number above 0"),
        ] {
            let message = found(lines).expect_err(lines);
            assert!(message.contains(says), "{message}");
        }
    }
}
