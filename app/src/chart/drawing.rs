//! The picture of a chart: grid, lines, marks of evaluations, and the values under the pointer.

use leptos::ev::PointerEvent;
use leptos::html::Div;
use leptos::prelude::*;

use super::plot::{BOTTOM, LEFT, Look, Plot, RIGHT, TOP};
use super::series::label;
use super::view::Chart;
use crate::browser;
use crate::format;
use crate::i18n::{Words, words};

#[component]
pub(super) fn Drawing(chart: Chart) -> AnyView {
    let w = words();
    let Chart { look, plot, hover, drag, .. } = chart;
    let surface = NodeRef::<Div>::new();
    let pixel = move |event: &PointerEvent| {
        let width = look.with_untracked(|look| look.width);
        surface.get_untracked().map(|surface| {
            browser::offset_in(&surface, f64::from(event.client_x())).clamp(LEFT, width - RIGHT)
        })
    };
    let on_move = move |event: PointerEvent| {
        let Some(at) = pixel(&event) else { return };
        if let Some((from, _)) = drag.get_untracked() {
            drag.set(Some((from, at)));
        }
        hover.set(plot.with_untracked(|plot| plot.as_ref().and_then(|plot| plot.nearest(at))));
    };
    let on_down = move |event: PointerEvent| {
        // A finger scrolls the page; only a mouse or a pen draws a range.
        if event.button() != 0 || event.pointer_type() == "touch" {
            return;
        }
        if let (Some(at), Some(surface)) = (pixel(&event), surface.get_untracked()) {
            browser::capture_pointer(&surface, event.pointer_id());
            drag.set(Some((at, at)));
        }
    };
    let titles = move || {
        let Look { width, height, .. } = look.get();
        let metric = chart.metric.with(|metric| label(metric, w).to_owned());
        view! {
            <text class="tick axis-title" x="4" y="13">{metric}</text>
            <text class="tick axis-title" x=(LEFT + width - RIGHT) / 2.0 y=height - 6.0 text-anchor="middle">{w.chart_step}</text>
        }
    };
    let part = move |draw: fn(&Plot, Look) -> AnyView| {
        move || look.with(|look| plot.with(|plot| plot.as_ref().map(|plot| draw(plot, *look))))
    };
    view! {
        <div
            class="chart-surface"
            node_ref=surface
            tabindex="0"
            role="application"
            aria-label=move || summary(chart, w)
            title=w.chart_help
            on:pointermove=on_move
            on:pointerdown=on_down
            on:pointerup=move |_| chart.zoom_to_drag()
            on:pointercancel=move |_| drag.set(None)
            on:pointerleave=move |_| hover.set(None)
            on:blur=move |_| hover.set(None)
            on:dblclick=move |_| chart.reset_zoom()
            on:keydown=move |event| chart.on_key(&event)
        >
            <svg
                viewBox=move || look.with(|look| format!("0 0 {} {}", look.width, look.height))
                aria-hidden="true"
            >
                {titles}
                {part(grid)}
                <path class="line-raw" class:alone=move || plot.with(|plot| plot.as_ref().is_some_and(|p| p.smooth.is_empty()))
                    d=move || plot.with(|plot| plot.as_ref().map(|plot| plot.raw.clone()))/>
                <path class="line-smooth" d=move || plot.with(|plot| plot.as_ref().map(|plot| plot.smooth.clone()))/>
                {part(eval_marks)}
                {part(breaks)}
                {move || drag.get().map(|(a, b)| view! {
                    <rect class="chart-range" x=a.min(b) y=TOP width=(a - b).abs() height=look.with(|look| look.height) - TOP - BOTTOM/>
                })}
                {move || crosshair(chart, w)}
            </svg>
        </div>
        <p class="visually-hidden" aria-live="polite">{move || hover_text(chart, w)}</p>
        {move || plot.with(|plot| plot.as_ref().filter(|plot| !plot.evals.is_empty()).map(|plot| legend(plot, w)))}
    }
    .into_any()
}

fn grid(plot: &Plot, look: Look) -> AnyView {
    let (right, bottom) = (look.width - RIGHT, look.height - BOTTOM);
    let rows = plot.y_ticks.iter().filter_map(|tick| {
        let y = plot.y.pixel(tick.value)?;
        Some(view! {
            <line class="grid" x1=LEFT x2=right y1=y y2=y/>
            <text class="tick" x=LEFT - 8.0 y=y + 4.0 text-anchor="end">{tick.label.clone()}</text>
        })
    });
    let columns = plot.x_ticks.iter().filter_map(|tick| {
        let x = plot.x.pixel(tick.value)?;
        Some(
            view! { <text class="tick" x=x y=bottom + 18.0 text-anchor="middle">{tick.label.clone()}</text> },
        )
    });
    view! {
        <g>
            {rows.collect_view()}
            <line class="axis" x1=LEFT x2=right y1=bottom y2=bottom/>
            {columns.collect_view()}
        </g>
    }
    .into_any()
}

/// The class that gives an evaluation's line its colour; the colours come round again.
fn eval_class(number: usize) -> String {
    const COLOURS: usize = 4;
    format!("eval-{}", number % COLOURS)
}

fn eval_marks(plot: &Plot, _look: Look) -> AnyView {
    let lines = plot.evals.iter().enumerate().map(|(number, line)| {
        let marks = line.marks.iter();
        let points = marks.clone().map(|mark| format!("{:.1},{:.1}", mark.x, mark.y)).collect::<Vec<_>>();
        let dots = marks.map(|mark| view! { <circle class="eval-dot" cx=mark.x cy=mark.y r="4"/> });
        view! {
            <g class=eval_class(number)>
                <polyline class="eval-line" points=points.join(" ")/>
                {dots.collect_view()}
            </g>
        }
    });
    view! { <g>{lines.collect_view()}</g> }.into_any()
}

/// A cross above the axis wherever no number was measured.
fn breaks(plot: &Plot, look: Look) -> AnyView {
    let y = look.height - BOTTOM - 8.0;
    let crosses = plot.broken.iter().map(|x| {
        let (left, right, top, bottom) = (x - 4.0, x + 4.0, y - 4.0, y + 4.0);
        let line =
            format!("M{left:.1} {top:.1}L{right:.1} {bottom:.1}M{left:.1} {bottom:.1}L{right:.1} {top:.1}");
        view! { <path class="not-a-number" d=line><title>{words().chart_no_number}</title></path> }
    });
    view! { <g>{crosses.collect_view()}</g> }.into_any()
}

/// What an evaluation is called: with its data set, where each is evaluated by itself.
fn eval_label(dataset: Option<&str>, words: &Words) -> String {
    match dataset {
        Some(name) => format!("{} · {name}", words.chart_eval),
        None => words.chart_eval.to_owned(),
    }
}

fn legend(plot: &Plot, words: &'static Words) -> AnyView {
    let keys = plot.evals.iter().enumerate().map(|(number, line)| {
        view! {
            <span class=format!("key {}", eval_class(number))>
                <span class="key-eval"></span>
                {eval_label(line.dataset.as_deref(), words)}
            </span>
        }
    });
    view! { <p class="chart-legend">{keys.collect_view()}</p> }.into_any()
}

/// The values under the pointer: label and number.
fn readout(chart: Chart, words: &'static Words) -> Option<(usize, Vec<(String, String)>)> {
    let index = chart.hover.get()?;
    let metric = chart.metric.get();
    chart.plot.with(|plot| {
        let plot = plot.as_ref()?;
        let (step, value) = *plot.samples.get(index)?;
        let mut rows = vec![(words.chart_step.to_owned(), format::count(step as u64))];
        if !plot.raw.is_empty() {
            rows.push((label(&metric, words).to_owned(), format::metric(value)));
        }
        if !plot.smooth.is_empty() {
            rows.push((words.chart_smoothed.to_owned(), format::metric(plot.smoothed[index])));
        }
        for line in &plot.evals {
            if let Some(eval) = line.marks.iter().find(|eval| eval.step as f64 == step) {
                let label = line.dataset.clone().unwrap_or_else(|| words.chart_eval.to_owned());
                rows.push((label, format::metric(eval.value)));
            }
        }
        Some((index, rows))
    })
}

fn hover_text(chart: Chart, words: &'static Words) -> String {
    let rows = readout(chart, words).map(|(_, rows)| rows).unwrap_or_default();
    rows.into_iter().map(|(label, value)| format!("{label} {value}")).collect::<Vec<_>>().join(", ")
}

fn crosshair(chart: Chart, words: &'static Words) -> Option<AnyView> {
    const WIDTH: f64 = 178.0;
    /// Letters of a label that have room beside a number.
    const LONGEST: usize = 16;
    let (index, rows) = readout(chart, words)?;
    let look = chart.look.get();
    chart.plot.with(|plot| {
        let plot = plot.as_ref()?;
        let (step, value) = *plot.samples.get(index)?;
        let x = plot.x.pixel(step)?;
        let shown = if plot.smooth.is_empty() { value } else { plot.smoothed[index] };
        let dot = plot.y.pixel(shown).map(|y| view! { <circle class="hover-dot" cx=x cy=y r="4"/> });
        let left = if x + WIDTH + 20.0 > look.width { x - WIDTH - 12.0 } else { x + 12.0 };
        let height = rows.len() as f64 * 20.0 + 12.0;
        let lines = rows.into_iter().enumerate().map(|(row, (label, value))| {
            let y = 21.0 + row as f64 * 20.0;
            view! {
                <text class="tip-label" x="12" y=y>{format::shortened(&label, LONGEST)}</text>
                <text class="tip-value" x=WIDTH - 12.0 y=y text-anchor="end">{value}</text>
            }
        });
        Some(
            view! {
                <g class="crosshair">
                    <line x1=x x2=x y1=TOP y2=look.height - BOTTOM/>
                    {dot}
                    <g transform=format!("translate({left:.1},{})", TOP + 4.0)>
                        <rect class="tip" width=WIDTH height=height rx="8"/>
                        {lines.collect_view()}
                    </g>
                </g>
            }
            .into_any(),
        )
    })
}

/// What the picture says, for those who do not see it.
fn summary(chart: Chart, words: &'static Words) -> String {
    let metric = chart.metric.get();
    let metric = label(&metric, words);
    chart.plot.with(|plot| {
        let Some(plot) = plot else { return metric.to_owned() };
        let Some((first, last)) = plot.ends() else { return metric.to_owned() };
        crate::i18n::fill(
            words.chart_summary,
            &[
                ("metric", metric),
                ("first", &format::metric(first.1)),
                ("last", &format::metric(last.1)),
                ("from", &format::count(first.0 as u64)),
                ("to", &format::count(last.0 as u64)),
            ],
        )
    })
}
