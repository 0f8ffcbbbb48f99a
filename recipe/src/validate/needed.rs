//! What no run can do without.

use crate::args::Recipe;
use crate::problem::Problem;

pub(crate) fn check(recipe: &Recipe, problems: &mut Vec<Problem>) {
    if recipe.model_name_or_path.trim().is_empty() {
        problems.push(Problem::of(
            "model_name_or_path",
            words! {
                en: "`model_name_or_path` is missing; give a model folder, a .gguf file or a model's name on the Hub (owner/name)",
                zh: "缺少 `model_name_or_path`；请给出模型文件夹、.gguf 文件或模型站点上的名称（owner/name）",
            },
        ));
    }
    if recipe.output_dir.trim().is_empty() {
        problems.push(Problem::of(
            "output_dir",
            words! {
                en: "`output_dir` is missing; give a folder for the result",
                zh: "缺少 `output_dir`；请给出存放结果的文件夹",
            },
        ));
    }
    if !recipe.do_train && !recipe.evaluates() && !recipe.do_predict {
        problems.push(Problem::of(
            "do_train",
            words! {
                en: "there is nothing to do: set `do_train: true` (or `do_eval`, or `do_predict`)",
                zh: "没有要做的事：请设置 `do_train: true`（或 `do_eval`、`do_predict`）",
            },
        ));
    }
    if recipe.do_train && recipe.dataset.is_empty() {
        problems.push(Problem::of(
            "dataset",
            words! {
                en: "`dataset` is missing; name a dataset of dataset_info.json",
                zh: "缺少 `dataset`；请给出 dataset_info.json 中的数据集名称",
            },
        ));
    }
}
