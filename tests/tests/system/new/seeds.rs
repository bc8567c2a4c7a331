//! Seeds: what changes with them, and what does not change without.

use std::collections::HashMap;
use std::fs;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

use super::crates::Home;

#[test]
fn the_same_seed_gives_the_same_files_anywhere_and_another_one_other_neighbours() {
    if std::env::var_os("RINGWALL_IMAGES").is_some() {
        tests::skip("there is no cargo");
        return;
    }
    let homes = [Home::new(Vec::new()), Home::of_another_user()];
    for home in &homes {
        home.become_echo();
    }
    let build = |home: &Home, seed: &str| {
        let _ = home.ringwall(&["build", "--offline", "--quiet", "--seed", seed]).run().expect(0);
        ["img", "debug", "json", "cdx.json"].map(|extension| fs::read(home.image(extension)).unwrap())
    };
    let [first, elsewhere] = [&homes[0], &homes[1]].map(|home| build(home, "7"));
    for (number, (left, right)) in first.iter().zip(&elsewhere).enumerate() {
        assert!(left == right, "file {number} differs from one user to the other");
    }
    let other = build(&homes[0], "8");
    assert!(first == build(&homes[0], "7"), "the same seed gives something else the second time");

    let [first, other] = [first, other].map(|[_, linked, ..]| successors(&linked));
    assert!(first.len() > 200 && first.len() == other.len(), "{} functions", first.len());
    let same = first.iter().filter(|&(function, next)| other.get(function) == Some(next)).count();
    assert!(same * 20 <= first.len(), "{same} of {} functions have the same successor", first.len());
}

/// What follows each function of the text.
fn successors(linked: &[u8]) -> HashMap<String, String> {
    let file = object::File::parse(linked).unwrap();
    let text = file.section_by_name(".text").unwrap().index();
    let functions = file.symbols().filter(|symbol| {
        symbol.kind() == SymbolKind::Text && symbol.section_index() == Some(text) && symbol.size() > 0
    });
    let mut functions: Vec<_> =
        functions.map(|symbol| (symbol.address(), symbol.name().unwrap().to_owned())).collect();
    functions.sort();
    functions.windows(2).map(|pair| (pair[0].1.clone(), pair[1].1.clone())).collect()
}
