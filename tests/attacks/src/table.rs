//! All cases, by section of the catalogue.

mod calls;
mod files;
mod instructions;
mod machines;
mod memory;
pub(crate) mod one_image;
mod race;
mod resources;
mod sweeps;

use crate::case::Case;

/// Every case.
pub(crate) fn all() -> Vec<Case> {
    [
        instructions::cases(),
        sweeps::cases(),
        memory::cases(),
        calls::cases(),
        race::cases(),
        one_image::cases(),
        files::cases(),
        resources::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_unique() {
        let mut names: Vec<String> = super::all().into_iter().map(|case| case.name).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
