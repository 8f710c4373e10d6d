//! The first inputs of a target.

use std::path::Path;

/// Writes seeds into the corpus, which is the first folder among the arguments of this program, before
/// it is read. Without such a folder the target begins with nothing.
///
/// # Panics
/// The folder cannot be written to.
pub fn plant(seeds: impl IntoIterator<Item = Vec<u8>>) {
    let folder = std::env::args_os()
        .skip(1)
        .find(|it| Path::new(it).is_dir());
    let Some(folder) = folder else {
        return;
    };
    for (number, seed) in seeds.into_iter().enumerate() {
        let path = Path::new(&folder).join(format!("seed-{number:03}"));
        std::fs::write(&path, seed).expect("the corpus can be written to");
    }
}
