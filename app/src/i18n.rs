//! All words of the pages, in English and Chinese. Labels of arguments come from the recipe's own table.

mod en;
mod fill;
mod names;
mod said;
mod zh;

use leptos::prelude::use_context;
pub use recipe::Lang;
use wire::Preferences;

pub use en::EN;
pub use fill::fill;
pub use names::{method_name, stage_name, state_name};
pub use said::said;
pub use zh::ZH;

/// Declares the table of words: a field for each, and a list of them all for tests.
macro_rules! words {
    ($($key:ident,)+) => {
        /// The words of one language. `{name}` stands for what [`fill`] puts there.
        pub struct Words {
            $(pub $key: &'static str,)+
        }

        impl Words {
            /// Every key with its text.
            pub fn entries(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($key), self.$key)),+]
            }
        }
    };
}

words! {
    // Navigation
    nav_label,
    nav_skip,
    nav_runs,
    nav_data,
    nav_new,
    nav_chat,
    nav_crumbs,
    nav_language,
    nav_log_out,
    theme_system,
    theme_light,
    theme_dark,

    // Everywhere
    copy,
    copied,
    copy_failed,
    download,
    retry,
    dialog_keep,
    needs_script,
    error_not_found,
    error_internal,
    error_unreachable,
    time_just_now,
    time_minutes_ago,
    time_hours_ago,
    time_days_ago,
    not_found_title,
    not_found_text,
    not_found_home,

    // States of a run
    state_queued,
    state_preparing,
    state_running,
    state_stopping,
    state_finished,
    state_stopped,
    state_failed,
    state_interrupted,
    stage_pt,
    stage_sft,

    // The history
    runs_search,
    runs_state_filter,
    runs_all_states,
    runs_apply,
    runs_run,
    runs_state,
    runs_model,
    runs_data,
    runs_method,
    runs_loss,
    runs_time,
    runs_sparkline,
    runs_newer,
    runs_older,
    runs_pages,
    runs_place,
    runs_empty_title,
    runs_empty_text,
    runs_empty_action,
    runs_no_match,
    runs_clear,

    // One run
    run_name,
    run_rename,
    run_name_save,
    run_stop,
    run_stop_help,
    run_cancel,
    run_cancel_help,
    run_cancel_queued,
    run_cancel_keep,
    run_cancel_confirm,
    run_cancel_title,
    run_cancel_text,
    run_resume,
    run_resume_help,
    run_restart_help,
    run_restart,
    run_chat,
    run_clone,
    run_clone_help,
    run_delete,
    run_delete_title,
    run_delete_text,
    run_progress,
    run_loss,
    run_epoch,
    run_elapsed,
    run_remaining,
    run_speed,
    run_waiting,
    run_starting,
    run_stopping,
    phase_downloading,
    phase_loading_model,
    phase_encoding_data,
    phase_training,
    phase_evaluating,
    phase_saving,
    run_facts,
    run_trainable,
    run_examples,
    run_created,
    run_output,
    run_checkpoints,
    run_no_checkpoints,
    run_checkpoint,
    run_panels,
    run_log,
    run_log_follow,
    run_log_empty,
    run_log_save,
    run_log_search,
    run_log_none,
    log_start,
    log_checkpoint,
    log_finished,
    log_stopped,
    log_failed,
    run_config,
    live_connecting,
    live_open,
    live_retrying,

    // The chart
    chart_metrics,
    chart_loss,
    chart_learning_rate,
    chart_grad_norm,
    chart_smoothing,
    chart_smoothed,
    chart_log,
    chart_reset,
    chart_csv,
    chart_step,
    chart_eval_loss,
    chart_help,
    chart_empty,
    chart_summary,

    // The form of a new run
    new_intro,
    new_name,
    new_name_help,
    new_name_placeholder,
    new_models_here,
    new_models_elsewhere,
    new_model_bring,
    new_model_choose,
    new_model_other,
    new_model_path,
    new_no_datasets,
    new_rows,
    new_row_one,
    new_data_search,
    new_data_on_hubs,
    new_data_not_found,
    new_data_unsuited,
    new_data_unsuited_one,
    new_data_remove,
    new_default,
    new_unset,
    new_advanced,
    new_advanced_changed,
    new_yes,
    new_no,
    new_preview,
    new_preview_help,
    new_further,
    new_overruled,
    new_without_effect,
    new_tokens,
    new_load,
    new_load_title,
    new_load_text,
    new_load_file,
    new_load_line,
    new_load_left_out,
    new_load_apply,
    new_load_cancel,
    new_draft,
    new_draft_discard,
    new_clone_of,
    new_clone_name,
    new_problems,
    new_problem_one,
    new_no_problems,
    new_checking,
    new_memory,
    new_memory_short,
    new_launch,
    new_launching,

    // Data sets
    data_intro,
    data_none,
    data_use,
    data_not_downloaded,
    data_here,
    data_on_hubs,
    data_broken_help,
    data_name,
    data_source,
    data_format,
    data_rows,
    data_size,
    data_holds_text,
    data_holds_answers,
    data_holds_pairs,
    data_holds_judged,
    data_view,
    data_conversation,
    data_raw,
    data_pages,
    data_before,
    data_after,
    data_range,
    data_no_rows,
    data_row,
    data_show_tokens,
    data_hide_tokens,
    data_system,
    data_tools,
    data_user,
    data_assistant,
    data_call,
    data_result,
    data_chosen,
    data_rejected,
    data_wanted,
    data_unwanted,
    data_text,
    data_encoding,
    data_cutoff,
    data_stage,
    data_stage_chat,
    data_stage_text,
    data_train_on_prompt,
    data_mask_history,
    data_default_system,
    data_default_system_own,
    data_thinking,
    data_tokens,
    data_trained,
    data_cut,
    data_counts,
    data_counts_not,
    data_hidden,
    data_lengths,
    data_lengths_none,
    data_bin,
    data_cutoff_none,
    data_cutoff_some,
    data_median,
    data_measured_all,
    data_measured_first,
    data_check,
    data_check_start,
    data_check_stop,
    data_check_none,
    data_check_waiting,
    data_check_running,
    data_check_stopped,
    data_check_good,
    data_check_bad,
    data_check_more,
    data_add,
    data_upload_file,
    data_upload_help,
    data_upload,
    data_uploading,
    data_upload_cancel,
    data_upload_cancelled,
    data_upload_large,
    data_upload_none,
    data_register,
    entry_add,
    entry_edit,
    entry_edit_link,
    entry_file,
    entry_hub,
    entry_scope,
    entry_subset,
    entry_split,
    entry_folder,
    entry_samples,
    entry_ranking,
    entry_columns,
    entry_columns_help,
    entry_tags,
    entry_save,
    entry_delete_file,
    entry_delete_alone,
    entry_script,

    // The chat
    chat_intro_title,
    chat_intro_text,
    chat_ready_title,
    chat_ready_text,
    chat_model,
    chat_target,
    chat_target_choose,
    chat_checkpoint,
    chat_hub,
    chat_hub_name,
    chat_base_models,
    chat_from_runs,
    chat_no_targets,
    chat_template,
    chat_template_own,
    chat_load,
    chat_cancel,
    chat_unload,
    chat_reload,
    chat_unloaded,
    chat_loading,
    chat_ready,
    chat_failed,
    chat_settings,
    chat_system,
    chat_system_placeholder,
    chat_conversation,
    chat_input,
    chat_input_placeholder,
    chat_input_unloaded,
    chat_send,
    chat_stop,
    chat_regenerate,
    chat_clear,
    chat_you,
    chat_assistant,
    chat_thinking,
    chat_stats,
    chat_cut,
    chat_shorten,
    chat_full,
    chat_stopped,
    chat_lost,
}

pub fn words_of(lang: Lang) -> &'static Words {
    match lang {
        Lang::En => &EN,
        Lang::Zh => &ZH,
    }
}

/// The language of the page that is being made.
pub fn lang() -> Lang {
    use_context::<Preferences>().unwrap_or_default().lang
}

/// The words of the page that is being made.
pub fn words() -> &'static Words {
    words_of(lang())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_say_everything() {
        let (en, zh) = (EN.entries(), ZH.entries());
        assert_eq!(en.len(), zh.len());
        for ((key, text), (other, translated)) in en.into_iter().zip(zh) {
            assert_eq!(key, other);
            assert!(!text.trim().is_empty(), "English has nothing for {key}");
            assert!(!translated.trim().is_empty(), "Chinese has nothing for {key}");
            assert_eq!(places(text), places(translated), "the texts of {key} take different values");
        }
    }

    #[test]
    fn every_argument_is_named_and_explained_in_both() {
        for argument in recipe::arguments() {
            for lang in [Lang::En, Lang::Zh] {
                assert!(!argument.label.get(lang).trim().is_empty(), "no label: {}", argument.key);
                assert!(!argument.help.get(lang).trim().is_empty(), "no help: {}", argument.key);
            }
        }
    }

    /// The names in braces, sorted.
    fn places(text: &str) -> Vec<&str> {
        let mut names: Vec<&str> =
            text.split('{').skip(1).filter_map(|part| part.split('}').next()).collect();
        names.sort_unstable();
        names
    }
}
