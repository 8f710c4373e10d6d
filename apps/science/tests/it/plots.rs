//! Risk: a plot that no viewer opens, or with nothing on it.

use std::io::Cursor;

use science::plot::{BLUE, Line, ORANGE, Plot};

fn plot(points: Vec<(f64, f64)>) -> Plot {
    Plot {
        title: "a title".to_owned(),
        x: "time".to_owned(),
        y: "value".to_owned(),
        lines: vec![
            Line {
                name: "first".to_owned(),
                color: BLUE,
                points,
            },
            Line {
                name: "second".to_owned(),
                color: ORANGE,
                points: vec![(0.0, 1.0), (1.0, 0.0)],
            },
        ],
        mark: Some(0.5),
    }
}

/// The pixels of a PNG file that have a color.
fn count(bytes: &[u8], color: [u8; 3]) -> usize {
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (1200, 720));
    let (chunks, _) = pixels.as_chunks::<3>();
    chunks.iter().filter(|pixel| **pixel == color).count()
}

#[test]
fn a_plot_has_its_lines_in_their_colors_and_black_text() {
    let png = plot(vec![(0.0, 0.0), (1.0, 1.0)]).png().unwrap();
    for color in [BLUE, ORANGE] {
        let pixels = count(&png, [color.0, color.1, color.2]);
        assert!(pixels > 500, "{pixels}");
    }
    assert!(count(&png, [0, 0, 0]) > 500);
    assert!(count(&png, [255, 255, 255]) > 400_000);
}

#[test]
fn a_plot_of_nothing_or_of_one_value_is_still_a_plot() {
    for points in [
        vec![],
        vec![(0.0, 3.0)],
        vec![(0.0, f64::NAN), (1.0, f64::INFINITY)],
    ] {
        let png = plot(points).png().unwrap();
        assert!(count(&png, [255, 255, 255]) > 400_000);
    }
}
