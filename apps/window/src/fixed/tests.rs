//! Risk: digits are lost, and with them the deep pictures.

use super::Fixed;

fn parse(text: &str) -> Fixed {
    text.parse().unwrap()
}

#[test]
fn products_agree_with_floats_where_these_are_exact() {
    for (a, b) in [
        (1.5, 2.25),
        (-0.75, 0.5),
        (-3.0, -0.125),
        (0.0, 1.0),
        (7.5, 8.25),
    ] {
        let product = Fixed::from_f64(a).times(Fixed::from_f64(b));
        assert_eq!(product, Fixed::from_f64(a * b), "{a} * {b}");
    }
}

/// (1 + 2^-60)^2 has a digit at 2^-120, which an `f64` cannot see.
#[test]
fn products_keep_the_last_digit() {
    let one = Fixed::scaled(1, 0);
    let small = Fixed::scaled(1, -60);
    let square = (one + small).times(one + small);
    let expected = one + small.doubled() + Fixed::scaled(1, -120);
    assert_eq!(square, expected);
    assert_eq!((square - one - small.doubled()).to_f64(), 2f64.powi(-120));
}

#[test]
fn decimal_texts() {
    assert_eq!(parse("-0.75"), Fixed::from_f64(-0.75));
    assert_eq!(parse("2"), Fixed::scaled(2, 0));
    let difference = parse("0.10000000000000000000000000000001") - parse("0.1");
    assert!((difference.to_f64() / 1e-32 - 1.0).abs() < 1e-3);
    for text in ["", "-", "1.", ".5", "1e5", "128", "0.1.2", "0x1"] {
        assert!(text.parse::<Fixed>().is_err(), "{text}");
    }
}

#[test]
fn cells_of_a_grid_are_rounded_down() {
    assert_eq!(Fixed::from_f64(0.75).cell(-1), 1);
    assert_eq!(Fixed::from_f64(-0.75).cell(-1), -2);
    assert_eq!(Fixed::scaled(-3, -90).cell(-90), -3);
}
