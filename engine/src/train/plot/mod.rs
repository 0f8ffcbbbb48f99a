//! `training_loss.png`, `training_loss.svg` and their like: curves of what was measured, raw and smoothed as LLaMA-Factory
//! smooths them.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;
use plotters::style::register_font;
use serde_json::{Map, Value};

use crate::weights::write_atomic;
use crate::{Error, Result};

/// Pixels of a picture, across and down.
const SIZE: (u32, u32) = (800, 480);
const COLOUR: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const FONT: &str = "sans-serif";
/// The pages' font in the form that plotters reads: where a model is trained there may be none. Its license stands beside
/// the pages' copy, `public/fonts/inter-LICENSE.txt`.
static INTER: &[u8] = include_bytes!("inter.ttf");

/// Draws a curve of each metric of which the history has several points, of training and of evaluations: LLaMA-Factory's, and
/// all else that was measured but how fast it went.
///
/// # Errors
/// With the file that cannot be written or drawn.
pub(super) fn write(output: &Path, history: &[Value]) -> Result<()> {
    // A font that cannot be read is missed by what is written in it, which says so.
    let _ = register_font(FONT, FontStyle::Normal, INTER);
    let is_speed = |key: &str| key.ends_with("_runtime") || key.ends_with("_per_second");
    let keys = history.iter().filter_map(Value::as_object).flat_map(Map::keys);
    let measured = keys.filter(|key| !["step", "epoch"].contains(&key.as_str()) && !is_speed(key));
    for key in measured.collect::<BTreeSet<_>>() {
        let number = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_f64);
        let points = history.iter().filter_map(|entry| Some((number(entry, "step")?, number(entry, key)?)));
        // What is beyond a float's range has no place between others.
        let points: Vec<(f64, f64)> = points.filter(|(_, y)| y.abs() <= f64::from(f32::MAX)).collect();
        if points.len() > 1 {
            // A data set's name may hold what a file's cannot.
            let path = output.join(format!("training_{}.png", key.replace(['/', '\\'], "_")));
            let (png, svg) = pictures(key, &points).map_err(|error| Error::io(&path, error))?;
            write_atomic(&path, &png)?;
            write_atomic(&path.with_extension("svg"), svg.as_bytes())?;
        }
    }
    Ok(())
}

/// Exponential smoothing whose weight grows with the number of points: 1.8 · (σ(0.05 n) − ½).
fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let weight = 1.8 * (1.0 / (1.0 + (-0.05 * points.len() as f64).exp()) - 0.5);
    let mut last = points.first().map_or(0.0, |point| point.1);
    let step = |point: &(f64, f64)| {
        last = last * weight + (1.0 - weight) * point.1;
        (point.0, last)
    };
    points.iter().map(step).collect()
}

/// The curve as PNG and as SVG.
fn pictures(key: &str, points: &[(f64, f64)]) -> io::Result<(Vec<u8>, String)> {
    let (width, height) = SIZE;
    let mut pixels = vec![0; width as usize * height as usize * 3];
    draw(BitMapBackend::with_buffer(&mut pixels, SIZE), key, points).map_err(io::Error::other)?;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    let mut svg = String::new();
    draw(SVGBackend::with_string(&mut svg, SIZE), key, points).map_err(io::Error::other)?;
    Ok((file, svg))
}

fn draw<B: DrawingBackend>(
    backend: B,
    key: &str,
    points: &[(f64, f64)],
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let area = backend.into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(20)
        .caption(format!("training {key}"), (FONT, 20))
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(
            range(points.iter().map(|point| point.0)),
            range(points.iter().map(|point| point.1)),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .axis_style(BLACK.mix(0.4))
        .label_style((FONT, 14))
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .x_desc("step")
        .y_desc(key)
        .draw()?;
    let smoothed = smooth(points);
    for (name, points, style) in [
        ("original", points, COLOUR.mix(0.4).stroke_width(1)),
        ("smoothed", &smoothed, COLOUR.stroke_width(2)),
    ] {
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font((FONT, 14))
        .background_style(WHITE)
        .border_style(BLACK.mix(0.2))
        .draw()?;
    area.present()
}

/// From the lowest to the highest value with a little room around: a curve may be flat.
fn range(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    let largest = low.abs().max(high.abs());
    // Ticks need distances that a number can hold beside the values.
    let room = if low == high { 0.05 * largest } else { (0.03 * (high - low)).max(1e-6 * largest) };
    let room = if room > 0.0 { room } else { 0.05 };
    low - room..high + room
}

/// A number at a tick.
fn label(value: &f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        1e-3..1e6 => format!("{}", (value * 1e4).round() / 1e4),
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_curve_has_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let history: Vec<Value> = (1..4)
            .map(|step| json!({"step": step, "loss": 0.5, "rewards/accuracies": 0.25, "logps/chosen": -1.5, "eval_poems_accuracy": 0.5, "eval_runtime": 0.1}))
            .collect();
        write(folder.path(), &history).unwrap();
        let mut files: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let names = ["eval_poems_accuracy", "logps_chosen", "loss", "rewards_accuracies"];
        let expected = names.map(|name| ["png", "svg"].map(|kind| format!("training_{name}.{kind}")));
        assert_eq!(files, expected.concat());
    }

    /// A picture has its words and both curves, of which one is drawn over the other.
    #[test]
    fn a_curve_is_drawn_in_both_forms() {
        let _ = register_font(FONT, FontStyle::Normal, INTER);
        let points: Vec<(f64, f64)> = (1..=50).map(|x| (f64::from(x), (f64::from(x) * 0.2).sin())).collect();
        let (png, svg) = pictures("eval_<b>_loss", &points).unwrap();
        assert!(svg.contains("training eval_&lt;b&gt;_loss") && svg.contains("smoothed"), "{svg}");
        assert!(
            svg.contains(r##"opacity="0.4" stroke="#1F77B4""##)
                && svg.contains(r##"opacity="1" stroke="#1F77B4""##)
        );
        let mut reader = png::Decoder::new(io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((frame.width, frame.height), SIZE);
        let count = |colour: [u8; 3]| pixels.chunks_exact(3).filter(|pixel| *pixel == colour).count();
        assert!(count([0x1f, 0x77, 0xb4]) > 500 && count([255; 3]) > 300_000);
    }

    #[test]
    fn flat_and_far_curves_are_drawn() {
        let _ = register_font(FONT, FontStyle::Normal, INTER);
        for y in [0.0, 1e-30, -3.5, 1e15, f64::from(f32::MAX)] {
            pictures("loss", &[(1.0, y), (2.0, y)]).unwrap();
            pictures("loss", &[(1.0, y), (2.0, -y), (1e9, y)]).unwrap();
        }
    }
}
