//! The formulas of reinforcement learning against TRL's own, with their gradients.

mod common;

use engine::rl::advantages::{Advantages, Discount, generalised, rewards};
use engine::rl::grpo::{self, Known, Settings, Totals};
use engine::rl::kl::{AdaptiveKl, penalties};
use engine::rl::ppo::{self, Before, Clipping};
use engine::rl::{Rows, statistics};
use recipe::{GrpoLoss, ImportanceSampling, KlPenalty, ScaleRewards};
use serde_json::Value;

type Check<T = ()> = Result<T, String>;

/// Relative, and below 1 absolute. Some of the reference's shares are in f32.
const TOLERANCE: f64 = 1e-7;

fn main() {
    let mut cases: Vec<common::Case> = Vec::new();
    for (kind, check) in [("ppo", check_ppo as fn(&Value) -> Check), ("grpo", check_grpo)] {
        let file = read(kind);
        let list = file["cases"].as_array().unwrap_or_else(|| panic!("{kind}.json has no cases")).clone();
        for (index, case) in list.into_iter().enumerate() {
            cases.push((format!("{kind}/{index}"), Box::new(move || check(&case))));
        }
        if let Some(steered) = file.get("adaptive_kl").cloned() {
            cases.push((format!("{kind}/adaptive_kl"), Box::new(move || check_adaptive_kl(&steered))));
        }
    }
    common::run(cases);
}

fn read(kind: &str) -> Value {
    let path = common::goldens("rl").join(format!("{kind}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn number(value: &Value, key: &str) -> Check<f64> {
    value[key].as_f64().ok_or_else(|| format!("{key} is no number"))
}

fn text<'v>(value: &'v Value, key: &str) -> Check<&'v str> {
    value[key].as_str().ok_or_else(|| format!("{key} is no text"))
}

fn numbers(value: &Value, key: &str) -> Check<Vec<f64>> {
    let all = value[key].as_array().ok_or_else(|| format!("{key} is no list"))?;
    all.iter().map(|x| x.as_f64().ok_or_else(|| format!("{key} has something else than numbers"))).collect()
}

/// What of a table the mask lets count, which is where each row begins.
fn rows(case: &Value, key: &str) -> Check<Rows> {
    let mask: Rows = serde_json::from_value(case["mask"].clone()).map_err(|error| error.to_string())?;
    let all: Rows = serde_json::from_value(case[key].clone()).map_err(|error| format!("{key}: {error}"))?;
    let kept = |(row, mask): (Vec<f64>, &Vec<f64>)| {
        let count = mask.iter().filter(|x| **x == 1.0).count();
        let begins = mask.iter().take(count).all(|x| *x == 1.0);
        if begins { Ok(row[..count].to_vec()) } else { Err("the mask has holes".to_owned()) }
    };
    all.into_iter().zip(&mask).map(kept).collect()
}

fn near(what: &str, got: f64, want: f64) -> Check {
    let right = common::within(got, want, TOLERANCE * want.abs().max(1.0));
    if right { Ok(()) } else { Err(format!("{what} is {got}, expected {want}")) }
}

fn alike(what: &str, got: &[Vec<f64>], want: &[Vec<f64>]) -> Check {
    for (row, (got, want)) in got.iter().zip(want).enumerate() {
        if got.len() != want.len() {
            return Err(format!("{what}: row {row} has {} numbers, expected {}", got.len(), want.len()));
        }
        for (place, (got, want)) in got.iter().zip(want).enumerate() {
            near(&format!("{what}[{row}][{place}]"), *got, *want)?;
        }
    }
    if got.len() == want.len() { Ok(()) } else { Err(format!("{what} has {} rows", got.len())) }
}

fn check_ppo(case: &Value) -> Check {
    let config = &case["config"];
    let kind = KlPenalty::from_name(text(config, "kl_penalty")?).ok_or("an unknown penalty")?;
    let (old, values) = (rows(case, "logprobs_old")?, rows(case, "values")?);
    let kl = penalties(kind, &old, &rows(case, "logprobs_ref")?);
    alike("kl", &kl, &rows(case, "kl")?)?;
    let given = rewards(&numbers(case, "scores")?, &kl, number(config, "kl_coef")?);
    alike("rewards", &given, &rows(case, "rewards")?)?;
    let discount = Discount {
        gamma: number(config, "gamma")?,
        lambda: number(config, "lam")?,
        whiten_rewards: config["whiten_rewards"] == true,
    };
    let Advantages { advantages, returns } = generalised(&values, given, discount);
    alike("advantages", &advantages, &rows(case, "advantages")?)?;
    alike("returns", &returns, &rows(case, "returns")?)?;

    let clipping = Clipping {
        ratio: number(config, "cliprange")?,
        value: number(config, "cliprange_value")?,
        value_weight: number(config, "vf_coef")?,
        largest_ratio: number(config, "ratio_threshold")?,
    };
    let before = Before { log_probs: &old, values: &values, advantages: &advantages, returns: &returns };
    let loss = ppo::loss((&rows(case, "logprobs")?, &rows(case, "vpreds")?), before, clipping);
    near("policy loss", loss.policy, number(case, "policy_loss")?)?;
    near("value loss", clipping.value_weight * loss.value, number(case, "value_loss_times_coef")?)?;
    alike("gradient by log-probabilities", &loss.by_log_probs, &rows(case, "grad_logprobs")?)?;
    alike("gradient by values", &loss.by_values, &rows(case, "grad_vpreds")?)?;
    let wanted = case["stats"].as_object().ok_or("no stats")?;
    for (name, want) in wanted {
        let want = want.as_f64().ok_or("a statistic that is no number")?;
        let got = match name.as_str() {
            "policy/entropy" => entropy(case)?,
            name => loss
                .measured
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| *value)
                .ok_or_else(|| format!("{name} is not measured"))?,
        };
        near(name, got, want)?;
    }
    Ok(())
}

/// The mean over tokens of what their logits leave open.
fn entropy(case: &Value) -> Check<f64> {
    let logits: Vec<Rows> =
        serde_json::from_value(case["logits"].clone()).map_err(|error| error.to_string())?;
    let lengths = rows(case, "values")?;
    let of = |(logits, length): (&Rows, usize)| {
        logits[..length].iter().map(|token| statistics::entropy(token.iter().copied())).collect()
    };
    let all: Rows = logits.iter().zip(lengths.iter().map(Vec::len)).map(of).collect();
    Ok(statistics::mean(&all))
}

fn check_adaptive_kl(steered: &Value) -> Check {
    let mut kl = AdaptiveKl {
        coefficient: number(steered, "init")?,
        target: number(steered, "target")?,
        horizon: number(steered, "horizon")?,
    };
    let updates: Rows = serde_json::from_value(steered["updates_current_nsteps_after"].clone())
        .map_err(|error| error.to_string())?;
    for update in updates {
        let [current, count, after] = update[..] else { return Err("an update of other than three".into()) };
        kl.update(current, count as usize);
        near("coefficient", kl.coefficient, after)?;
    }
    Ok(())
}

fn check_grpo(case: &Value) -> Check {
    let scale = ScaleRewards::from_name(text(case, "scale_rewards")?).ok_or("an unknown scale")?;
    let group = number(case, "num_generations")? as usize;
    let found = grpo::advantages(&numbers(case, "rewards")?, group, scale).advantages;
    alike("advantages", std::slice::from_ref(&found), &[numbers(case, "advantages")?])?;

    let log_probs = rows(case, "logps")?;
    let old = case["logps_old"].is_array().then(|| rows(case, "logps_old")).transpose()?;
    let reference = rows(case, "logps_ref")?;
    let settings = Settings {
        loss: GrpoLoss::from_name(text(case, "loss_type")?).ok_or("an unknown loss")?,
        ratio: ImportanceSampling::from_name(text(case, "importance_sampling_level")?)
            .ok_or("an unknown ratio")?,
        beta: number(case, "beta")?,
        below: number(case, "epsilon_low")?,
        above: number(case, "epsilon_high")?,
        delta: case["delta"].as_f64(),
        longest: number(case, "max_completion_length")? as usize,
    };
    let totals = Totals {
        sequences: log_probs.len(),
        tokens: statistics::count(&log_probs),
        tokens_of_all: number(case, "num_items_in_batch")?,
        batches: 1,
    };
    let known = |from: usize, to: usize| Known {
        advantages: &found[from..to],
        old: old.as_ref().map(|old| &old[from..to]),
        reference: Some(&reference[from..to]),
    };
    let count = log_probs.len();
    let loss = grpo::loss(&log_probs, known(0, count), &settings, totals);
    near("loss", loss.loss, number(case, "loss")?)?;
    alike("gradient", &loss.by_log_probs, &rows(case, "grad_logps")?)?;
    // Metrics of a batch that comes in parts add up.
    let parts = [(0, 1), (1, count)]
        .map(|(from, to)| grpo::loss(&log_probs[from..to], known(from, to), &settings, totals));
    let sum = |of: fn(&grpo::Loss) -> f64| parts.iter().map(of).sum::<f64>();
    near("loss of the parts", sum(|part| part.loss), loss.loss)?;
    let (below, above) = (sum(|part| part.clipped_below), sum(|part| part.clipped_above));
    for (name, want) in case["metrics"].as_object().ok_or("no metrics")? {
        let got = match name.as_str() {
            "kl" => sum(|part| part.divergence),
            "clip_ratio/low_mean" | "clip_ratio/low_min" => below,
            "clip_ratio/high_mean" | "clip_ratio/high_max" => above,
            "clip_ratio/region_mean" => below + above,
            name => return Err(format!("{name} is not measured")),
        };
        near(name, got, want.as_f64().ok_or("a metric that is no number")?)?;
    }
    Ok(())
}
