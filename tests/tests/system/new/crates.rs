//! Crates made by `ringwall new`, each in a home of its own.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tests::Ringwall;

/// A user's home, and a crate in it.
#[derive(Debug)]
pub(crate) struct Home {
    root: tempfile::TempDir,
    /// Variables that differ from one user to the other.
    variables: Vec<(&'static str, PathBuf)>,
}

/// The home that all tests share. `None` in a lab, where there is no cargo.
pub(crate) fn first_home() -> Option<&'static Home> {
    static HOME: OnceLock<Option<Home>> = OnceLock::new();
    HOME.get_or_init(|| {
        if std::env::var_os("RINGWALL_IMAGES").is_some() {
            tests::skip("there is no cargo");
            return None;
        }
        Some(Home::new(Vec::new()))
    })
    .as_ref()
}

impl Home {
    pub(crate) fn new(variables: Vec<(&'static str, PathBuf)>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let home = Self { root, variables };
        let made = home.command(Ringwall::program()).args(["new", "greet"]).current_dir(home.root()).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let built = home.ringwall(&["build", "--offline", "--quiet"]).run();
        let _ = built.expect(0);
        home
    }

    /// Another name, place, time zone, language and folder of crates.
    pub(crate) fn of_another_user() -> Self {
        let cargo = tempfile::tempdir().unwrap().keep();
        let registry = real("CARGO_HOME", ".cargo").join("registry");
        symlink(registry, cargo.join("registry")).unwrap();
        let variables = [("TZ", "Pacific/Kiritimati"), ("LC_ALL", "tr_TR.UTF-8"), ("USER", "somebody")];
        let mut variables: Vec<_> = variables.map(|(name, value)| (name, PathBuf::from(value))).into();
        variables.push(("CARGO_HOME", cargo));
        Self::new(variables)
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// The crate's folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.root().join("greet")
    }

    /// A file beside the image.
    pub(crate) fn image(&self, extension: &str) -> PathBuf {
        self.folder().join("target/ringwall/images/greet").with_extension(extension)
    }

    /// `ringwall` in the crate's folder.
    pub(crate) fn ringwall(&self, arguments: &[&str]) -> Ringwall {
        let mut env = self.command(Path::new("env"));
        env.arg("-C").arg(self.folder()).arg(Ringwall::program()).args(arguments);
        Ringwall::from_command(env)
    }

    /// Makes the crate an echo server, which has many functions.
    pub(crate) fn become_echo(&self) {
        let echo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../apps/echo/src/main.rs");
        std::fs::copy(echo, self.folder().join("src/main.rs")).unwrap();
        let path = self.folder().join("Cargo.toml");
        let mut manifest = std::fs::read_to_string(&path).unwrap();
        manifest = manifest.replace(
            "[dependencies]\n",
            "[dependencies]\nembedded-io-async = { version = \"0.7\", default-features = false }\n",
        );
        std::fs::write(path, manifest).unwrap();
    }

    /// `cargo` in the crate's folder.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = self.command(Path::new("cargo"));
        cargo.current_dir(self.folder());
        cargo
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("CARGO_HOME", real("CARGO_HOME", ".cargo"));
        command.env("RUSTUP_HOME", real("RUSTUP_HOME", ".rustup"));
        command.env("HOME", self.root()).env_remove("XDG_DATA_HOME").env_remove("CARGO_TARGET_DIR");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Where the real user's tools are.
fn real(variable: &str, under_home: &str) -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(under_home);
    std::env::var_os(variable).map_or_else(home, PathBuf::from)
}
