//! `text/lr_schedules.json`: the learning rate of every step, and after the last.

use engine::optim::Schedule;
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
