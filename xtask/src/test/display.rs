//! Runs the window on a virtual display: checks that it opens, animates, and shows the right
//! picture.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Trouble, Verdict, capture, cargo, packages, pass};

/// The packages of the display, and the libraries that winit loads at run time.
const PACKAGES: &[&str] = &[
    "xvfb",
    "libx11-6",
    "libx11-xcb1",
    "libxcursor1",
    "libxi6",
    "libxkbcommon-x11-0",
];
const LIBRARIES: &[&str] = &[
    "libX11.so.6",
    "libX11-xcb.so.1",
    "libXcursor.so.1",
    "libXi.so.6",
    "libxkbcommon-x11.so.0",
];

const WIDTH: usize = 960;
const HEIGHT: usize = 600;
/// The height of the strip at the bottom.
// As in the window's own `strip.rs`.
const STRIP: usize = 58;
/// The title bar's text.
const TITLE: &str = "Insula: Mandelbrot";
/// The length of the demo's flight, the time its window stays, and the limit for all of it.
const DEMO: &str = "6";
// In these seconds `import` takes its picture, after the program has saved its own.
const LINGER: &str = "8";
const PATIENCE: Duration = Duration::from_secs(180);

/// Flies a demo and checks its last picture: the one that the program has saved and, if ImageMagick
/// is installed, the one that the display shows.
pub(super) fn look_at_window(root: &Path) -> Verdict {
    packages::require(PACKAGES, || {
        packages::has_program("Xvfb") && LIBRARIES.iter().all(|name| packages::has_library(name))
    })?;
    pass(cargo(root).args(["build", "--profile", "optimized", "--package", "window"]))?;
    let folder = root.join("target").join("window");
    fs::create_dir_all(&folder).map_err(failed)?;
    let saved = folder.join("saved.png");
    // A picture of an earlier run would be checked before the window has opened.
    if saved.exists() {
        fs::remove_file(&saved).map_err(failed)?;
    }
    let display = Display::start()?;
    let mut demo = cargo(root);
    demo.env("DISPLAY", &display.name);
    // winit prefers Wayland, and would open the window on the developer's desktop.
    demo.env_remove("WAYLAND_DISPLAY");
    demo.args([
        "run",
        "--profile",
        "optimized",
        "--quiet",
        "--package",
        "window",
    ]);
    demo.arg("--");
    demo.args(["--size", &format!("{WIDTH}x{HEIGHT}"), "--demo", DEMO]);
    demo.args(["--linger", LINGER, "--screenshot"]).arg(&saved);
    let mut demo = Running(demo.spawn().map_err(failed)?);
    let start = Instant::now();
    demo.wait_until(start, || saved.exists())?;
    Picture::read(&saved)?.check("the saved picture")?;
    if packages::has_program("import") {
        let seen = folder.join("seen.png");
        capture(&mut import(&display.name, &seen)).map_err(Trouble::Failed)?;
        Picture::read(&seen)?.check("the picture on the display")?;
    } else {
        println!("ImageMagick is not installed: only the saved picture is looked at");
    }
    let status = demo.end(start)?;
    if status.success() {
        return Ok(());
    }
    Err(Trouble::Failed(format!("the window ended with {status}")))
}

/// Returns a command that saves the window as the display shows it.
fn import(display: &str, file: &Path) -> Command {
    let mut command = Command::new("import");
    command.args(["-display", display, "-window", TITLE]);
    command.arg(format!("PNG24:{}", file.display()));
    command
}

fn failed(error: impl ToString) -> Trouble {
    Trouble::Failed(error.to_string())
}

/// A process that is killed when its step ends.
struct Running(Child);

impl Running {
    /// Waits until `is_so` returns `true`, as long as the process runs.
    fn wait_until(&mut self, start: Instant, is_so: impl Fn() -> bool) -> Result<(), Trouble> {
        while !is_so() {
            if let Some(status) = self.0.try_wait().map_err(failed)? {
                return Err(Trouble::Failed(format!(
                    "the window ended too early, with {status}"
                )));
            }
            Self::pause(start)?;
        }
        Ok(())
    }

    fn end(&mut self, start: Instant) -> Result<ExitStatus, Trouble> {
        loop {
            if let Some(status) = self.0.try_wait().map_err(failed)? {
                return Ok(status);
            }
            Self::pause(start)?;
        }
    }

    fn pause(start: Instant) -> Result<(), Trouble> {
        if start.elapsed() > PATIENCE {
            return Err(Trouble::Failed("the window takes too long".to_owned()));
        }
        thread::sleep(Duration::from_millis(50));
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that the process has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A virtual display, which lasts as long as this value.
struct Display {
    name: String,
    _server: Running,
}

impl Display {
    fn start() -> Result<Self, Trouble> {
        let mut command = Command::new("Xvfb");
        // The server chooses a number and writes it to its standard output once it is ready.
        command.args(["-displayfd", "1", "-screen", "0", "1280x800x24"]);
        command.args(["-nolisten", "tcp"]);
        let started = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut server = Running(started.map_err(failed)?);
        let mut number = String::new();
        if let Some(output) = server.0.stdout.take() {
            BufReader::new(output)
                .read_line(&mut number)
                .map_err(failed)?;
        }
        let number = number.trim();
        if number.is_empty() {
            return Err(Trouble::Failed("Xvfb does not start".to_owned()));
        }
        Ok(Self {
            name: format!(":{number}"),
            _server: server,
        })
    }
}

/// A picture in memory.
struct Picture {
    file: PathBuf,
    width: usize,
    height: usize,
    /// Red, green and blue, in rows.
    bytes: Vec<u8>,
}

impl Picture {
    fn read(file: &Path) -> Result<Self, Trouble> {
        let decoder = png::Decoder::new(BufReader::new(File::open(file).map_err(failed)?));
        let mut reader = decoder.read_info().map_err(failed)?;
        let info = reader.info();
        let is_rgb =
            info.color_type == png::ColorType::Rgb && info.bit_depth == png::BitDepth::Eight;
        if !is_rgb {
            let what = format!("{} is not in 24 bits of color", file.display());
            return Err(Trouble::Failed(what));
        }
        let (width, height) = (info.width as usize, info.height as usize);
        let mut bytes = vec![0; width * height * 3];
        reader.next_frame(&mut bytes).map_err(failed)?;
        Ok(Self {
            file: file.to_owned(),
            width,
            height,
            bytes,
        })
    }

    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        [self.bytes[at], self.bytes[at + 1], self.bytes[at + 2]]
    }

    /// Returns the pixel at a point of the plane, for a view of the whole set.
    fn point(&self, (re, im): (f64, f64)) -> [u8; 3] {
        let (width, height) = (WIDTH as f64, (HEIGHT - STRIP) as f64);
        // The numbers are those of `View::home` in the window.
        let scale = (width / 3.2).min(height / 2.5);
        let x = width / 2.0 + (re + 0.65) * scale;
        let y = height / 2.0 - im * scale;
        self.pixel(x as usize, y as usize)
    }

    /// Compares the picture with known facts about the set and the window.
    fn check(&self, what: &str) -> Verdict {
        let wrong = |how: String| {
            let file = self.file.display();
            Err(Trouble::Failed(format!("{what} {how}; see {file}")))
        };
        if (self.width, self.height) != (WIDTH, HEIGHT) {
            return wrong(format!("has {} by {} pixels", self.width, self.height));
        }
        const INSIDE: [(f64, f64); 6] = [
            (0.0, 0.0),
            (-0.2, 0.5),
            (-0.2, -0.5),
            (-1.0, 0.0),
            (-1.1, 0.15),
            (0.2, 0.0),
        ];
        const OUTSIDE: [(f64, f64); 6] = [
            (0.5, 0.5),
            (0.5, -0.5),
            (-1.9, 0.4),
            (-2.4, 0.0),
            (1.2, 0.0),
            (-0.8, 0.9),
        ];
        for point in INSIDE {
            if self.point(point) != [0, 0, 0] {
                return wrong(format!("is not black at {point:?}, inside of the set"));
            }
        }
        for point in OUTSIDE {
            if self.point(point) == [0, 0, 0] {
                return wrong(format!("is black at {point:?}, outside of the set"));
            }
        }
        let mut colors: Vec<_> = (0..WIDTH * (HEIGHT - STRIP))
            .map(|at| self.pixel(at % WIDTH, at / WIDTH))
            .collect();
        colors.sort_unstable();
        colors.dedup();
        if colors.len() < 500 {
            return wrong(format!("has only {} colors", colors.len()));
        }
        self.check_strip().or_else(wrong)
    }

    /// Checks that the strip has an edge along its whole length, text, and columns of frames.
    fn check_strip(&self) -> Result<(), String> {
        // From the window's `strip.rs`; the last one is that of a frame's work.
        const EDGE: [u8; 3] = [0x33, 0x3c, 0x52];
        const TEXT: [u8; 3] = [0xe8, 0xec, 0xf4];
        const FRAME: [u8; 3] = [0x3f, 0x9b, 0xd8];
        let top = HEIGHT - STRIP;
        if (0..WIDTH).any(|x| self.pixel(x, top) != EDGE) {
            return Err("has no strip".to_owned());
        }
        let count = |color| {
            let pixels = (0..WIDTH * STRIP).map(|at| self.pixel(at % WIDTH, top + at / WIDTH));
            pixels.filter(|pixel| *pixel == color).count()
        };
        if count(TEXT) < 300 {
            return Err("has a strip without writing".to_owned());
        }
        if count(FRAME) < 100 {
            return Err("has a strip without frames".to_owned());
        }
        Ok(())
    }
}
