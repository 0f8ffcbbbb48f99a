//! What a run writes, and for whom.

use crate::args::Recipe;
use crate::derived::{SERVICES, TENSORBOARD};
use crate::problem::Problem;
use crate::suggest::offer;

pub(crate) fn check(recipe: &Recipe, problems: &mut Vec<Problem>) {
    const KEY: &str = "report_to";
    let known = [TENSORBOARD, "none"];
    let unknown = |tool: &&String| !known.contains(&tool.as_str()) && !SERVICES.contains(&tool.as_str());
    if let Some(tool) = recipe.report_to.iter().find(unknown) {
        let meant = offer(tool, known);
        problems.push(Problem::of(
            KEY,
            sentence! {
                [meant]
                en: "`{KEY}: {tool}` is not supported; allowed are none and {TENSORBOARD}{meant}",
                zh: "不支持 `{KEY}: {tool}`；可用 none 与 {TENSORBOARD}{meant}",
            },
        ));
    }
}
