//! The threads that look at the program: one takes a sample each second, and writes the dumps after
//! errors; the other looks at the threads of the pool in between.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use insula_sync::Parker;
use insula_sync::atomic::{AtomicBool, Ordering};
use tempfile::NamedTempFile;

use super::InspectorBuilder;
use crate::program::Program;

/// The time between two samples.
const SAMPLE: Duration = Duration::from_secs(1);

/// A sample that takes long comes so many times less often than it takes, so that a program of a
/// million isolates spends at most a few percent of a core on being looked at.
const COST: u32 = 30;

/// The thread that takes samples.
pub(super) struct Sampler {
    end: End,
    /// The folder for the dumps after errors.
    dumps: Option<PathBuf>,
}

/// The thread that looks at the threads of the pool.
#[derive(Default)]
pub(super) struct Watcher {
    end: End,
}

/// What tells a thread to end.
struct End {
    parker: Parker,
    is_over: AtomicBool,
}

impl Default for End {
    fn default() -> Self {
        Self {
            parker: Parker::new(),
            is_over: AtomicBool::new(false),
        }
    }
}

impl End {
    /// Waits for so long, or until the end has come. Returns whether it has.
    fn wait(&self, time: Duration) -> bool {
        self.parker.park_timeout(time);
        // Relaxed: the parker's token makes the store visible.
        self.is_over.load(Ordering::Relaxed)
    }

    fn come(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.parker.unpark();
    }
}

impl Watcher {
    pub(super) fn run(&self, program: &Program) {
        while !self.end.wait(program.watch()) {}
    }

    pub(super) fn stop(&self) {
        self.end.come();
    }
}

impl Sampler {
    pub(super) fn new(dumps: Option<PathBuf>) -> Self {
        Self {
            end: End::default(),
            dumps,
        }
    }

    pub(super) fn run(&self, program: &Program) {
        let (mut written, mut errors) = (0, 0);
        let mut is_over = false;
        // Once more at the end, which an error may have brought about.
        loop {
            let begun = Instant::now();
            program.tick();
            let cost = begun.elapsed();
            let now = program.errors();
            if now != errors && written < InspectorBuilder::DUMPS {
                errors = now;
                written += 1;
                self.dump(program, u64::from(written));
            }
            if is_over {
                return;
            }
            let pause = SAMPLE.saturating_sub(cost).max(cost * COST);
            is_over = self.end.wait(pause);
        }
    }

    pub(super) fn stop(&self) {
        self.end.come();
    }

    fn dump(&self, program: &Program, number: u64) {
        if let Some(folder) = &self.dumps {
            dump_into(program, folder, "", number);
        }
    }
}

/// Writes a dump into a folder, as the one with this number or the next that is free: another inspector
/// of the program may have written one, or an earlier program with the same process id. A dump that
/// cannot be written is an event, since there is no caller who could be told.
pub(super) fn dump_into(program: &Program, folder: &Path, kind: &str, number: u64) {
    let name = format!("{}-{}-{kind}", program.name, std::process::id());
    // A name of the program may be a path, and must not lead out of the folder.
    let name = name.replace(['/', '\\'], "_");
    let path_of = |number| folder.join(format!("{name}{number}.json"));
    match write_new_dump(program, folder, (number..).map(path_of)) {
        Ok(path) => program.tell_of_dump(&path, None),
        Err(error) => program.tell_of_dump(&path_of(number), Some(error)),
    }
}

/// Writes a dump into the first of the files that does not exist, and returns it.
fn write_new_dump(
    program: &Program,
    folder: &Path,
    paths: impl IntoIterator<Item = PathBuf>,
) -> io::Result<PathBuf> {
    let mut file = prepare_dump(program, folder)?;
    for path in paths {
        match file.persist_noclobber(&path) {
            Ok(_) => return Ok(path),
            Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => {
                file = failed.file;
            }
            Err(failed) => return Err(failed.error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Writes a dump into a file, and replaces one that is there.
pub(super) fn write_dump(program: &Program, path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let file = prepare_dump(program, folder.unwrap_or(Path::new(".")))?;
    file.persist(path)?;
    Ok(())
}

/// Writes a dump into a file that is removed unless it is given a name.
fn prepare_dump(program: &Program, folder: &Path) -> io::Result<NamedTempFile> {
    let text = format!("{:#}\n", program.dump());
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}
