//! The measured version of each peer, from the lock file that this binary was built with.

const LOCK: &str = include_str!("../../Cargo.lock");

/// Returns the locked version of a crate, or `"?"` if the lock file does not contain it; for
/// `"std"` the version of the compiler.
pub(crate) fn of(package: &str) -> &'static str {
    if package == "std" {
        return env!("RUST_VERSION");
    }
    let mut lines = LOCK.lines();
    while let Some(line) = lines.next() {
        let Some(name) = quoted(line, "name = ") else {
            continue;
        };
        if name == package {
            return lines
                .next()
                .and_then(|line| quoted(line, "version = "))
                .unwrap_or("?");
        }
    }
    "?"
}

fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests;
