//! `text/lr_schedules.json`: the learning rate of every step, and after the last; `text/measured_schedules.json`: after every
//! evaluation.

use engine::optim::{Schedule, Watched};
use recipe::{Recipe, Steps};
use serde_json::Value;

use super::{Cases, Outcome, items, text};

pub fn find(cases: &mut Cases, file: &Value) {
    for (place, case) in items(file).iter().cloned().enumerate() {
        let name = format!("lr_schedules/{place}_{}", text(&case, "lr_scheduler_type"));
        cases.add(name, move || check(&case));
    }
}

fn check(case: &Value) -> Outcome {
    let warmup = case["warmup_steps"].as_u64().ok_or("no warmup_steps")?;
    let mut recipe = Recipe { warmup_steps: Steps::Count(warmup), ..Recipe::default() };
    for key in ["lr_scheduler_type", "lr_scheduler_kwargs", "learning_rate"] {
        let value = case[key].as_str().map_or_else(|| case[key].to_string(), str::to_owned);
        recipe.set(key, &value).map_err(|problem| problem.message.en)?;
    }
    let total = case["max_steps"].as_u64().ok_or("no max_steps")?;
    let schedule = Schedule::new(&recipe, total).map_err(|e| e.to_string())?;
    for (done, expected) in items(&case["lr"]).iter().filter_map(Value::as_f64).enumerate() {
        let got = schedule.rate(done as u64);
        if (got - expected).abs() > 1e-12 * recipe.learning_rate {
            return Err(format!("after {done} steps: {got}, expected {expected}"));
        }
    }
    Ok(())
}

pub fn measured(cases: &mut Cases, file: &Value) {
    for (place, case) in items(file).iter().cloned().enumerate() {
        let name = format!("measured_schedules/{place}_{}", text(&case, "lr_scheduler_type"));
        cases.add(name, move || check_measured(&case));
    }
}

/// The same whether what is remembered goes through a checkpoint after each evaluation or not.
fn check_measured(case: &Value) -> Outcome {
    let mut recipe = Recipe::default();
    for key in ["lr_scheduler_type", "lr_scheduler_kwargs", "learning_rate"] {
        let value = case[key].as_str().map_or_else(|| case[key].to_string(), str::to_owned);
        recipe.set(key, &value).map_err(|problem| problem.message.en)?;
    }
    let schedule = Schedule::new(&recipe, 100).map_err(|e| e.to_string())?;
    let measured = schedule.measured().ok_or("not a measured schedule")?;
    let mut watched = Watched::default();
    for (place, (metric, expected)) in items(&case["metrics"]).iter().zip(items(&case["lr"])).enumerate() {
        let (metric, expected) = (metric.as_f64().ok_or("no metric")?, expected.as_f64().ok_or("no rate")?);
        watched.take(measured, schedule.peak(), metric);
        let kept = serde_json::to_string(&watched).map_err(|e| e.to_string())?;
        watched = serde_json::from_str(&kept).map_err(|e| e.to_string())?;
        let got = watched.rate(schedule.peak());
        if (got - expected).abs() > 1e-12 * expected {
            return Err(format!("after evaluation {}: {got}, expected {expected}", place + 1));
        }
    }
    Ok(())
}
