//! Risk: a cap lets a level through that the CPU does not have, and its instructions end the
//! program.

use super::{NAMES, Simd};

fn all() -> impl Iterator<Item = Simd> {
    NAMES.iter().map(|(level, _)| *level)
}

#[test]
fn a_cap_gives_a_level_of_the_same_architecture() {
    for level in all() {
        for cap in all() {
            let capped = level.at_most(cap);
            assert!(capped <= level, "{level} capped at {cap} is {capped}");
            assert!(capped.bits() <= cap.bits(), "{level} at {cap}: {capped}");
            let is_arm = |level| level == Simd::Neon;
            let same = capped == Simd::Scalar || is_arm(capped) == is_arm(level);
            assert!(same, "{level} capped at {cap} is {capped}");
            assert_eq!(capped.at_most(cap), capped);
        }
        assert_eq!(level.at_most(level), level);
        assert_eq!(level.at_most(Simd::Scalar), Simd::Scalar);
        assert_eq!(level.at_most(Simd::Avx512), level);
    }
    assert_eq!(Simd::Avx512.at_most(Simd::Avx2), Simd::Avx2);
    assert_eq!(Simd::Avx512.at_most(Simd::Neon), Simd::Sse2);
    assert_eq!(Simd::Neon.at_most(Simd::Sse2), Simd::Neon);
}

#[test]
fn levels_are_ordered_by_the_width_of_their_vectors() {
    assert!(all().is_sorted(), "the table is in the order of levels");
    assert!(all().is_sorted_by_key(Simd::bits));
}

#[test]
fn a_level_is_read_as_it_is_written() {
    for level in all() {
        let text = level.to_string();
        assert_eq!(text.parse(), Ok(level));
        assert_eq!(text.to_uppercase().parse(), Ok(level));
    }
    assert_eq!(format!("{:>6}", Simd::Avx2), "  avx2");
}

#[test]
fn a_text_that_names_no_level_is_refused_with_the_names() {
    for text in ["", "avx", "sse2 ", "AVX-512"] {
        let error = text.parse::<Simd>().unwrap_err().to_string();
        assert!(error.contains(&format!("{text:?}")), "{error}");
        assert!(
            error.ends_with("scalar, neon, sse2, avx2, avx512"),
            "{error}"
        );
    }
}

#[test]
fn the_level_of_this_cpu_is_one_of_its_architecture() {
    let level = Simd::detect();
    assert_eq!(level, Simd::detect());
    if cfg!(target_arch = "x86_64") {
        // Part of the architecture.
        assert!(level >= Simd::Sse2);
    } else if cfg!(target_arch = "aarch64") {
        assert!(matches!(level, Simd::Neon | Simd::Scalar));
    } else if !cfg!(target_arch = "x86") {
        assert_eq!(level, Simd::Scalar);
    }
}
