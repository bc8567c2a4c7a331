//! The appliances, each built once per test process, or found where `RINGWALL_IMAGES` says.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use loader::build::{BuildOptions, Built};
use loader::image::Image;

/// An appliance of this workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    /// Says hello.
    Hello,
    /// Breaks in many ways.
    Crash,
    /// Executes one hostile instruction.
    Attack,
    /// Looks at its own registers around every call.
    Probe,
    /// Writes and verifies a disk.
    Disk,
    /// TCP and UDP echo.
    Echo,
    /// Web server.
    Web,
    /// Sends any frames.
    Forge,
    /// Makes random calls.
    Adversary,
    /// Runs fuzz programs.
    Fuzzer,
    /// Load balancer.
    Lb,
}

/// All of them.
pub const APPS: [App; 11] = [
    App::Hello,
    App::Crash,
    App::Attack,
    App::Probe,
    App::Disk,
    App::Echo,
    App::Web,
    App::Forge,
    App::Adversary,
    App::Fuzzer,
    App::Lb,
];

impl App {
    /// Its crate folder's name, which is the appliance's name too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Crash => "crash",
            Self::Attack => "attack",
            Self::Probe => "probe",
            Self::Disk => "disk",
            Self::Echo => "echo",
            Self::Web => "web",
            Self::Forge => "forge",
            Self::Adversary => "adversary",
            Self::Fuzzer => "fuzzer",
            Self::Lb => "lb",
        }
    }

    /// Path of its image, built by the first test that asks. Tests in other threads wait for that one.
    ///
    /// # Panics
    /// If it does not build.
    #[must_use]
    pub fn image(self) -> &'static Path {
        &self.built().image
    }

    /// Path of its symbol side file.
    ///
    /// # Panics
    /// As [`App::image`].
    #[must_use]
    pub fn symbols(self) -> &'static Path {
        &self.built().symbols
    }

    /// Its image, checked.
    ///
    /// # Panics
    /// As [`App::image`].
    #[must_use]
    pub fn parsed(self) -> Image {
        Image::open(self.image()).expect("the builder makes images that the loader accepts")
    }

    fn built(self) -> &'static Built {
        static BUILT: [OnceLock<Built>; APPS.len()] = [const { OnceLock::new() }; APPS.len()];
        BUILT[self as usize].get_or_init(|| {
            if let Some(folder) = std::env::var_os("RINGWALL_IMAGES") {
                return self.prebuilt(Path::new(&folder));
            }
            let options = BuildOptions { quiet: true, ..BuildOptions::default() };
            let folder = workspace().join("apps").join(self.name());
            loader::build::build(&folder, &options).unwrap_or_else(|error| panic!("{}: {error}", self.name()))
        })
    }

    /// Where there is no cargo: what `ringwall build` has made elsewhere.
    fn prebuilt(self, folder: &Path) -> Built {
        let file = |extension| folder.join(self.name()).with_extension(extension);
        let image = file("img");
        let image_bytes = image.metadata().map_or(0, |metadata| metadata.len());
        Built {
            image,
            symbols: file("debug"),
            bin: self.name().to_owned(),
            image_bytes,
            report: file("json"),
            materials: file("cdx.json"),
            seed: 0,
            fresh: true,
            audited: false,
        }
    }
}

/// The workspace's root folder.
#[must_use]
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
