//! How long rows are, and where the cutoff falls.

use leptos::prelude::*;
use wire::{Check, LengthHistogram};

use crate::calls::CallError;
use crate::components::failure::BoardFailure;
use crate::format;
use crate::i18n::{fill, words};

/// The drawing's own measure; it is stretched to its place.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 120.0;

/// The lengths of the first rows, or of all where the check has measured more.
#[component]
pub fn HistogramCard(
    lengths: Resource<Result<LengthHistogram, CallError>>,
    check: Resource<Result<Check, CallError>>,
) -> AnyView {
    let w = words();
    view! {
        <section class="card data-lengths" data-test="lengths">
            <h2>{w.data_lengths}</h2>
            <Transition fallback=|| view! { <div class="skeleton row" aria-busy="true"></div> }>
                {move || Suspend::new(async move {
                    let checked = check.await.ok().and_then(|check| check.lengths);
                    match lengths.await {
                        Ok(first) => {
                            let lengths = checked.filter(|all| all.rows > first.rows || all.whole).unwrap_or(first);
                            view! { <Histogram lengths/> }.into_any()
                        }
                        Err(error) => view! { <BoardFailure error retry=move |()| lengths.refetch()/> }.into_any(),
                    }
                })}
            </Transition>
        </section>
    }
    .into_any()
}

#[component]
fn Histogram(lengths: LengthHistogram) -> AnyView {
    let w = words();
    if lengths.rows == 0 {
        return view! { <p class="muted">{w.data_lengths_none}</p> }.into_any();
    }
    let LengthHistogram { bins, width, rows, whole, median, longest, truncated, cutoff_len } = lengths;
    let end = width * bins.len() as u64;
    let cutoff = cutoff_len as u64;
    let highest = bins.iter().copied().max().unwrap_or(1).max(1) as f64;
    let step = WIDTH / bins.len() as f64;
    let bars = bins.iter().enumerate().map(|(place, count)| {
        // The smallest bin that is not empty can still be seen.
        let height = if *count == 0 { 0.0 } else { (*count as f64 / highest * HEIGHT).max(1.5) };
        let (from, to) = (place as u64 * width + 1, (place as u64 + 1) * width);
        let title = fill(
            w.data_bin,
            &[("from", &format::count(from)), ("to", &format::count(to)), ("n", &format::count(*count))],
        );
        let is_over = from > cutoff;
        view! {
            <rect
                class:over=is_over
                x=format!("{:.2}", place as f64 * step)
                y=format!("{:.2}", HEIGHT - height)
                width=format!("{:.2}", step * 0.9)
                height=format!("{height:.2}")
            >
                <title>{title}</title>
            </rect>
        }
    });
    let line = (cutoff < end).then(|| {
        let x = format!("{:.2}", cutoff as f64 / end as f64 * WIDTH);
        view! { <line data-test="cutoff-line" x1=x.clone() x2=x y1="0" y2=HEIGHT.to_string()></line> }
    });
    let share = format!("{:.1}", truncated as f64 / rows as f64 * 100.0);
    let (shown_rows, cutoff) = (format::count(rows), format::count(cutoff));
    let cut = match truncated {
        0 => fill(w.data_cutoff_none, &[("cutoff", &cutoff)]),
        n => fill(w.data_cutoff_some, &[("share", &share), ("n", &format::count(n)), ("cutoff", &cutoff)]),
    };
    let measured =
        fill(if whole { w.data_measured_all } else { w.data_measured_first }, &[("n", &shown_rows)]);
    let middle =
        fill(w.data_median, &[("median", &format::count(median)), ("longest", &format::count(longest))]);
    view! {
        <svg
            class="histogram"
            viewBox=format!("0 0 {WIDTH} {HEIGHT}")
            preserveAspectRatio="none"
            role="img"
            aria-label=format!("{middle}. {cut}")
        >
            {bars.collect_view()}
            {line}
        </svg>
        <p class="histogram-axis number muted"><span>"1"</span><span>{format::count(end)}</span></p>
        <p data-test="truncated" data-share=share>{cut}</p>
        <p class="muted">{format!("{middle}. {measured}")}</p>
    }
    .into_any()
}
