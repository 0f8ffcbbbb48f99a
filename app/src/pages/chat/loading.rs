//! The model that is picked and the one that is loaded. What is loaded is the server's truth, asked for again and again; the
//! page only shows it.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{ChatStatus, ChatTarget};

use crate::browser;
use crate::calls::{self, CallError};
use crate::components::failure;
use crate::i18n::{Words, fill, words};

/// Begins the ids of targets that are models on a hub.
pub const ON_HUB: &str = "hub:";

/// How often the status is asked for while a model loads; otherwise every third time.
const EVERY: Duration = Duration::from_secs(1);

/// What the panel picks from, what is picked, and how the server stands.
#[derive(Clone, Copy)]
pub struct Loading {
    words: &'static Words,
    pub targets: StoredValue<Vec<ChatTarget>>,
    status: RwSignal<ChatStatus>,
    /// The id of the target that is picked.
    pub chosen: RwSignal<String>,
    pub template: RwSignal<String>,
    pub error: RwSignal<Option<String>>,
    /// A failure is told to the tab that asked for the model, not to everyone who looks.
    asked: RwSignal<Option<String>>,
}

impl Loading {
    /// Picks what the address names (`wanted`), else what is loaded.
    pub fn new(targets: Vec<ChatTarget>, wanted: Option<String>, status: RwSignal<ChatStatus>) -> Loading {
        let now = status.get_untracked();
        let first = preselected(&targets, wanted.as_deref(), &now);
        let listed = first.as_ref().map(|target| target.id.clone());
        let unlisted = wanted.or_else(|| busy(&now)).filter(|id| on_hub(id).is_some());
        Loading {
            words: words(),
            targets: StoredValue::new(targets),
            status,
            chosen: RwSignal::new(listed.or(unlisted).unwrap_or_default()),
            template: RwSignal::new(first.and_then(|target| target.template).unwrap_or_default()),
            error: RwSignal::new(None),
            asked: RwSignal::new(busy(&now)),
        }
    }

    /// Picks a target, and the template that fits it.
    pub fn choose(self, id: String) {
        let fits = self
            .targets
            .with_value(|targets| targets.iter().find(|target| target.id == id)?.template.clone());
        self.template.set(fits.unwrap_or_default());
        self.chosen.set(id);
    }

    /// Loads what is picked.
    pub fn load(self) {
        let target = self.chosen.get_untracked();
        self.asked.set(Some(target.clone()));
        let template = Some(self.template.get_untracked()).filter(|name| !name.is_empty());
        self.status.set(ChatStatus::Loading { target: target.clone(), progress: None });
        self.send(calls::load_chat(target, template));
    }

    /// Unloads what is loaded, or gives up what loads.
    pub fn unload(self) {
        self.send(calls::unload_chat());
    }

    fn send(self, call: impl Future<Output = Result<(), CallError>> + 'static) {
        self.error.set(None);
        spawn_local(async move {
            if let Err(refused) = call.await {
                self.error.try_set(Some(failure::message(&refused, self.words)));
            }
            ask(self.status).await;
        });
    }

    /// Whether the model's process is about what is picked.
    pub fn is_there(self) -> bool {
        self.status.with_untracked(|status| busy(status) == Some(self.chosen.get_untracked()))
    }

    pub fn is_loading(self) -> bool {
        matches!(self.status.get(), ChatStatus::Loading { .. })
    }

    /// The target that is ready.
    pub fn loaded(self) -> Option<String> {
        match self.status.get() {
            ChatStatus::Ready { target, .. } => Some(target),
            _ => None,
        }
    }

    /// How the server stands, in words.
    pub fn sentence(self) -> String {
        let w = self.words;
        match self.status.get() {
            ChatStatus::Unloaded => w.chat_unloaded.to_owned(),
            ChatStatus::Loading { target, progress: None } => {
                fill(w.chat_loading, &[("label", &self.label_of(&target))])
            }
            ChatStatus::Loading { progress: Some(progress), .. } => {
                format!("{} · {progress}", w.phase_downloading)
            }
            ChatStatus::Ready { label, .. } => fill(w.chat_ready, &[("label", &label)]),
            ChatStatus::Failed { target, .. } if self.asked.with(|asked| asked.as_ref() != Some(&target)) => {
                w.chat_unloaded.to_owned()
            }
            ChatStatus::Failed { target, reason } => {
                fill(w.chat_failed, &[("label", &self.label_of(&target)), ("reason", &reason)])
            }
        }
    }

    fn label_of(self, id: &str) -> String {
        self.targets.with_value(|targets| {
            let listed = targets.iter().find(|target| target.id == id).map(|target| target.label.clone());
            listed.unwrap_or_else(|| on_hub(id).unwrap_or(id).to_owned())
        })
    }

    /// What is picked, where it is the name of a model on a hub.
    pub fn hub_name(self) -> Option<String> {
        self.chosen.with(|id| on_hub(id).map(str::to_owned))
    }

    /// Ids and labels of all that the run of what is picked has left.
    pub fn siblings(self) -> Vec<(String, String)> {
        let found = |targets: &Vec<ChatTarget>| {
            self.chosen.with(|id| {
                let run = targets.iter().find(|target| target.id == *id)?.run.clone()?;
                let of_run = targets.iter().filter(|target| target.run.as_ref() == Some(&run));
                Some(of_run.map(|target| (target.id.clone(), target.label.clone())).collect())
            })
        };
        self.targets.with_value(found).unwrap_or_default()
    }

    /// Asks the server for its status, again and again, while somebody looks.
    pub fn keep_asking(self) {
        let status = self.status;
        Effect::new(move |_| {
            let turn = StoredValue::new(0u32);
            let tick = move || {
                turn.update_value(|turn| *turn += 1);
                let loading = matches!(status.get_untracked(), ChatStatus::Loading { .. });
                if browser::is_visible() && (loading || turn.get_value().is_multiple_of(3)) {
                    spawn_local(ask(status));
                }
            };
            if let Ok(handle) = set_interval_with_handle(tick, EVERY) {
                on_cleanup(move || handle.clear());
            }
        });
    }
}

/// The name of a model that a target's id takes from a hub.
fn on_hub(id: &str) -> Option<&str> {
    id.strip_prefix(ON_HUB)
}

/// The id of what the run of a target left last; of another target its own.
pub fn latest<'a>(targets: &'a [ChatTarget], id: &'a str) -> &'a str {
    let run = targets.iter().find(|target| target.id == id).and_then(|target| target.run.as_deref());
    let first = run.and_then(|run| targets.iter().find(|target| target.run.as_deref() == Some(run)));
    first.map_or(id, |target| target.id.as_str())
}

/// The target that the model's process is about.
fn busy(status: &ChatStatus) -> Option<String> {
    match status {
        ChatStatus::Unloaded => None,
        ChatStatus::Loading { target, .. }
        | ChatStatus::Ready { target, .. }
        | ChatStatus::Failed { target, .. } => Some(target.clone()),
    }
}

/// The status in `data-state`.
pub fn name_of(status: &ChatStatus) -> &'static str {
    match status {
        ChatStatus::Unloaded => "unloaded",
        ChatStatus::Loading { .. } => "loading",
        ChatStatus::Ready { .. } => "ready",
        ChatStatus::Failed { .. } => "failed",
    }
}

/// The target that the address names (by its id, or by its run's), else the one that is loaded.
fn preselected(targets: &[ChatTarget], wanted: Option<&str>, status: &ChatStatus) -> Option<ChatTarget> {
    let wanted = wanted.map(str::to_owned).or_else(|| busy(status))?;
    let by_id = targets.iter().find(|target| target.id == wanted);
    by_id.or_else(|| targets.iter().find(|target| target.run.as_deref() == Some(wanted.as_str()))).cloned()
}

async fn ask(status: RwSignal<ChatStatus>) {
    if let Ok(fresh) = calls::chat_status().await
        && status.try_with_untracked(|now| *now != fresh) == Some(true)
    {
        status.try_set(fresh);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: &str, run: Option<&str>) -> ChatTarget {
        ChatTarget { id: id.into(), label: id.into(), run: run.map(Into::into), template: None }
    }

    #[test]
    fn the_address_picks_by_target_or_by_run() {
        let targets = [target("base", None), target("run:a:1", Some("a")), target("run:a:2", Some("a"))];
        let pick = |wanted| preselected(&targets, wanted, &ChatStatus::Unloaded).map(|target| target.id);
        assert_eq!(pick(Some("run:a:2")).as_deref(), Some("run:a:2"));
        assert_eq!(pick(Some("a")).as_deref(), Some("run:a:1"));
        assert_eq!(pick(Some("gone")), None);
        assert_eq!(pick(None), None);
        assert_eq!(
            ["run:a:2", "base", "hub:x/y"].map(|id| latest(&targets, id)),
            ["run:a:1", "base", "hub:x/y"]
        );
        let ready = ChatStatus::Ready { target: "base".into(), label: "b".into() };
        assert_eq!(preselected(&targets, None, &ready).map(|target| target.id).as_deref(), Some("base"));
    }
}
