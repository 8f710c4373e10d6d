//! Risk: a line that is lost or misread, and a reader that waits for more than it needs.

use std::io::{self, Read};

use analytics::{DataPoint, PointError, PointFormat, Points};

fn csv(time: Option<&str>, value: Option<&str>) -> PointFormat {
    PointFormat::Csv {
        time: time.map(ToOwned::to_owned),
        value: value.map(ToOwned::to_owned),
    }
}

type Good = Vec<(f64, f64)>;
type Bad = Vec<(u64, PointError)>;

/// The points and the errors of a text.
fn read(text: &[u8], format: PointFormat) -> (Good, Bad) {
    let mut points = Points::new(text, format);
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    while let Some(some) = points.next_points().unwrap() {
        for point in some {
            match point {
                Ok(DataPoint { time, value }) => good.push((time, value)),
                Err(error) => bad.push((error.line, error.error)),
            }
        }
    }
    (good, bad)
}

#[test]
fn csv_has_a_header_or_none() {
    for text in [
        "1,2\n3,4\n",
        "time,value\n1,2\n\n3,4",
        "\r\n1,2\r\n3 , 4\r\n",
    ] {
        let (good, bad) = read(text.as_bytes(), csv(None, None));
        assert_eq!(
            (good, bad),
            (vec![(1.0, 2.0), (3.0, 4.0)], vec![]),
            "{text}"
        );
    }
    let text = "place,v,when\n\"a,b\",5,1970-01-02\n";
    let (good, bad) = read(text.as_bytes(), csv(Some("when"), Some("v")));
    assert_eq!((good, bad), (vec![(86_400.0, 5.0)], vec![]));
}

#[test]
fn a_bad_line_is_named_and_the_others_are_read() {
    let mut text = b"1,2\nx,3\n4,NaN\n5\n6,\xff\n".to_vec();
    text.extend([b'9'].repeat(200_000));
    text.extend(b"\n7,8\n");
    let (good, bad) = read(&text, csv(None, None));
    assert_eq!(good, [(1.0, 2.0), (7.0, 8.0)]);
    let lines: Vec<_> = bad.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6]);
    assert_eq!(bad[0].1, PointError::Time("x".to_owned()));
    assert_eq!(bad[1].1, PointError::Value("NaN".to_owned()));
    assert_eq!(bad[2].1, PointError::Fields(1));
    assert_eq!(
        (&bad[3].1, &bad[4].1),
        (&PointError::NotUtf8, &PointError::TooLong)
    );
}

#[test]
fn a_field_that_is_not_there_is_named() {
    let mut points = Points::new(&b"\na,b\n1,2\n"[..], csv(Some("a"), Some("c")));
    let error = points.next_points().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(
        error.to_string(),
        "line 2: there is no field `c` in the first line: a, b"
    );
}

/// A mistake in the first line of points is no name.
#[test]
fn a_first_line_with_half_of_a_point_is_a_bad_one() {
    for (line, error) in [
        ("2012-13-01,5", PointError::Time("2012-13-01".to_owned())),
        ("2012-01-01,oops", PointError::Value("oops".to_owned())),
        ("1", PointError::Fields(1)),
    ] {
        let (good, bad) = read(format!("{line}\n1,2\n").as_bytes(), csv(None, None));
        assert_eq!((good, bad), (vec![(1.0, 2.0)], vec![(1, error)]));
    }
}

#[test]
fn json_lines_have_keys() {
    let format = PointFormat::JsonLines {
        time: "t".to_owned(),
        value: "v".to_owned(),
    };
    let text = b"{\"t\":1,\"v\":2.5,\"more\":[]}\n{\"v\":\"3\",\"t\":\"1970-01-01T00:00:09\"}\n{\"t\":1}\n{\"t\":1,\"v\":null}\n[\n";
    let (good, bad) = read(text, format);
    assert_eq!(good, [(1.0, 2.5), (9.0, 3.0)]);
    assert_eq!(bad[0], (3, PointError::NoKey("v".to_owned())));
    assert_eq!(bad[1], (4, PointError::Value("null".to_owned())));
    assert!(matches!(bad[2], (5, PointError::Json(_))));
}

/// Gives a part at a time, as a pipe does, and fails if it is asked for more.
struct Pipe(Vec<&'static [u8]>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::Error::other("asked for more than there is"));
        }
        let part = self.0.remove(0);
        buffer[..part.len()].copy_from_slice(part);
        Ok(part.len())
    }
}

#[test]
fn points_are_given_as_soon_as_they_are_there() {
    let mut points = Points::new(
        Pipe(vec![b"1,2\n3,", b"4\n5,6\n7", b",8\n"]),
        csv(None, None),
    );
    let mut count = || points.next_points().unwrap().unwrap().len();
    assert_eq!((count(), count(), count()), (1, 2, 1));
    points.next_points().unwrap_err();
}
