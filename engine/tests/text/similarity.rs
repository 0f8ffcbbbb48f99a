//! BLEU and ROUGE of pairs of texts, as LLaMA-Factory measures them with jieba, nltk and rouge-chinese.

use engine::text::similarity::{SCORES, similarity};
use serde_json::Value;

use super::{Cases, text};

pub fn find(cases: &mut Cases, value: &Value) {
    for (number, pair) in value["pairs"].as_array().into_iter().flatten().enumerate() {
        let pair = pair.clone();
        cases.add(format!("similarity/{number}"), move || {
            let got = similarity(text(&pair, "prediction"), text(&pair, "label"));
            for (name, got) in SCORES.into_iter().zip(got) {
                let expected = pair["scores"][name].as_f64().ok_or("no score")?;
                if got != expected {
                    return Err(format!("{name} is {got}, not {expected}"));
                }
            }
            Ok(())
        });
    }
}
