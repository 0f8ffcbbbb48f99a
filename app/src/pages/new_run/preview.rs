//! The recipe as YAML, as the form stands.

use leptos::prelude::*;
use recipe::Notice;

use super::asked::field_id;
use super::form::Form;
use super::further::Further;
use crate::browser;
use crate::components::copy_button::CopyButton;
use crate::components::icon::{Icon, IconName};
use crate::i18n::{fill, lang, words};

#[component]
pub fn Preview(form: Form) -> AnyView {
    let w = words();
    let yaml = Memo::new(move |_| form.yaml_with_remarks());
    let save = move |_| browser::download("recipe.yaml", "application/yaml", &yaml.get_untracked());
    view! {
        <section class="card preview">
            <div class="preview-head">
                <h2>{w.new_preview}</h2>
                <span>
                    <CopyButton text=yaml/>
                    <button type="button" class="button quiet small" data-test="download-yaml" on:click=save>
                        <Icon name=IconName::Download/>
                        {w.download}
                    </button>
                </span>
            </div>
            <p class="field-help">{w.new_preview_help}</p>
            <FurtherKeys form/>
            <Notices form/>
            <pre class="code" tabindex="0" data-test="yaml">{move || yaml.get()}</pre>
        </section>
    }
    .into_any()
}

/// Keys that are kept and do not do what they say, so that nobody relies on them.
#[component]
fn Notices(form: Form) -> impl IntoView {
    let w = words();
    let lang = lang();
    let notices = Memo::new(move |_| form.notices());
    let item = move |notice: Notice| {
        let keys = notice.keys().collect::<Vec<_>>().join(", ");
        view! { <li><code>{keys}</code> ": " {notice.reason.get(lang).to_owned()}</li> }
    };
    view! {
        <div class="preview-note" data-test="without-effect" hidden=move || notices.with(Vec::is_empty)>
            <h3>{w.new_without_effect}</h3>
            <ul>{move || notices.get().into_iter().map(item).collect_view()}</ul>
        </div>
        <p class="preview-note" data-test="tokens" hidden=move || !form.has_tokens()>{w.new_tokens}</p>
    }
}

/// What the recipe says of arguments without a field, to be taken out one by one.
#[component]
pub fn FurtherKeys(form: Form) -> impl IntoView {
    let w = words();
    let further = form.further;
    let chip = move |(key, text): Further| {
        let label = fill(w.new_data_remove, &[("name", key)]);
        view! {
            <li>
                <button
                    type="button"
                    class="chip"
                    id=field_id(key)
                    data-test=format!("further-{key}")
                    title=label.clone()
                    aria-label=label
                    on:click=move |_| {
                        form.changed.set(true);
                        further.update(|kept| kept.retain(|(other, _)| *other != key));
                    }
                >
                    <code>{format!("{key}: {text}")}</code>
                    <Icon name=IconName::Cross/>
                </button>
            </li>
        }
    };
    let overruled = move || form.overruled.with(|keys| keys.join(", "));
    view! {
        <div class="preview-note" data-test="further" hidden=move || further.with(Vec::is_empty)>
            <h3>{w.new_further}</h3>
            <ul class="chips">{move || further.get().into_iter().map(chip).collect_view()}</ul>
        </div>
        <p class="preview-note" data-test="overruled" hidden=move || form.overruled.with(Vec::is_empty)>
            {move || fill(w.new_overruled, &[("keys", &overruled())])}
        </p>
    }
}
