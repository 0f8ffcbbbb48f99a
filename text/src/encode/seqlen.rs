//! What is kept of a prompt and its answer when both do not fit.

/// Lengths of prompt and answer within `budget` tokens, each cut at its end: a short answer keeps its length, a short
/// prompt too, and otherwise both shrink alike.
pub fn share_budget(prompt: usize, answer: usize, budget: usize) -> (usize, usize) {
    let most = if answer * 2 < budget {
        budget
    } else if prompt * 2 < budget {
        budget - prompt
    } else {
        // In f64, as the reference computes it: budget · (answer / (prompt + answer)).
        (budget as f64 * (answer as f64 / (prompt + answer) as f64)) as usize
    };
    let answer = most.min(answer);
    (budget.saturating_sub(answer).min(prompt), answer)
}

#[cfg(test)]
mod tests {
    use super::share_budget;

    #[test]
    fn follows_the_reference() {
        for (prompt, answer, budget, expected) in [
            (3000, 2000, 1000, (600, 400)),
            (2000, 3000, 1000, (400, 600)),
            (1000, 100, 1000, (900, 100)),
            (100, 1000, 1000, (100, 900)),
            (100, 500, 1000, (100, 500)),
            (500, 100, 1000, (500, 100)),
            (10, 10, 1000, (10, 10)),
            (0, 0, 0, (0, 0)),
        ] {
            assert_eq!(share_budget(prompt, answer, budget), expected);
        }
    }
}
