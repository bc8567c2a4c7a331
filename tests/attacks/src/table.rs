//! All cases, by section of the catalogue.

mod calls;
mod devices;
mod files;
mod guests;
mod hosts;
mod images;
mod instructions;
mod machines;
mod memory;
pub(crate) mod one_image;
mod race;
mod resources;
mod sweeps;
mod walls;

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
        images::cases(),
        guests::cases(),
        resources::cases(),
        devices::cases(),
        hosts::cases(),
        walls::cases(),
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
