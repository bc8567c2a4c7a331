//! Which package a source file belongs to, by the name that the compiler was told to show for it.

use std::path::Path;

use cargo_metadata::Metadata;

use super::flags::PathMap;

/// A package as a report names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) name: String,
    pub(super) version: String,
}

impl Origin {
    /// Code that no line table speaks of: assembly, mostly.
    pub(super) fn unknown() -> Self {
        Self { name: "?".to_owned(), version: String::new() }
    }
}

/// Folders as shown, and the packages whose source is in them.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins {
    /// Longest first, so that a package inside another one's folder is found before it.
    folders: Vec<(String, Origin)>,
    /// Version of Rust's own library.
    toolchain: String,
}

impl Origins {
    pub(super) fn new(metadata: &Metadata, paths: &PathMap, toolchain: &str) -> Self {
        let mut folders: Vec<(String, Origin)> = metadata
            .packages
            .iter()
            .filter_map(|package| {
                let folder = paths.shown(package.manifest_path.parent()?.as_std_path());
                let origin = Origin { name: package.name.to_string(), version: package.version.to_string() };
                Some((folder, origin))
            })
            .collect();
        folders.sort_by_key(|(folder, _)| std::cmp::Reverse(folder.len()));
        Self { folders, toolchain: toolchain.to_owned() }
    }

    /// The package of a source file.
    pub(super) fn of(&self, file: &str) -> Origin {
        let found = |inside: &dyn Fn(&str) -> bool| {
            self.folders.iter().find(|(folder, _)| inside(folder)).map(|(_, origin)| origin.clone())
        };
        if let Some(origin) = found(&|folder| !folder.is_empty() && Path::new(file).starts_with(folder)) {
            return origin;
        }
        // Rust's own library: /rustc/COMMIT/library/core/src/..., or its copy that rustup installs with the source.
        if let Some((_, library)) = file.rsplit_once("/library/") {
            let name = library.split('/').next().unwrap_or_default().to_owned();
            return Origin { name, version: self.toolchain.clone() };
        }
        // What is left of the workspace is the package in its root.
        found(&|folder| folder.is_empty() && Path::new(file).is_relative()).unwrap_or_else(Origin::unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_the_innermost_package_or_to_rusts_library() {
        let origin = |name: &str| Origin { name: name.to_owned(), version: "1.2.3".to_owned() };
        let folders = vec![
            ("crates/index/smoltcp-1.2.3".to_owned(), origin("smoltcp")),
            ("apps/web".to_owned(), origin("web")),
            (String::new(), origin("root")),
        ];
        let origins = Origins { folders, toolchain: "1.2.3".to_owned() };
        assert_eq!(origins.of("crates/index/smoltcp-1.2.3/src/lib.rs"), origin("smoltcp"));
        assert_eq!(origins.of("apps/web/src/main.rs"), origin("web"));
        assert_eq!(origins.of("apps/website/src/main.rs"), origin("root"));
        assert_eq!(origins.of("/rustc/0123/library/core/src/fmt/mod.rs"), origin("core"));
        assert_eq!(origins.of("/elsewhere.rs"), Origin::unknown());
    }
}
