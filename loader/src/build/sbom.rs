//! The bill of materials, `NAME.cdx.json` beside the image: CycloneDX 1.5, of what is in the image.
//!
//! Components are the packages that cargo compiled for the image: the closure of its normal dependencies, without build scripts' and
//! tests'. One that has code in the image is `required`. One without is `excluded`, in the specification's words not part of what runs:
//! its types and constants may still have shaped the rest. The document holds no time and no random number, so that the same
//! image has the same one.

use std::collections::{BTreeSet, HashMap, HashSet};

use cargo_metadata::{DependencyKind, Metadata, Package, PackageId, TargetKind};
use serde_json::{Value, json};

use super::report::Report;

/// What Rust's own library says of itself.
const RUST_LICENSE: &str = "MIT OR Apache-2.0";

/// Writes the document of an image.
///
/// `compiled` are the packages that cargo compiled, for whatever purpose; `root` is the appliance's own.
pub(super) fn document(
    metadata: &Metadata,
    root: &PackageId,
    compiled: &HashSet<PackageId>,
    report: &Report,
) -> Option<Vec<u8>> {
    let dependencies = closure(metadata, root, compiled);
    let packages: HashMap<&PackageId, &Package> =
        metadata.packages.iter().map(|package| (&package.id, package)).collect();
    let reference = |id: &PackageId| {
        packages.get(id).map(|package| reference(&package.name, &package.version.to_string()))
    };
    let mut components: Vec<Value> = dependencies
        .keys()
        .filter(|&&id| id != root)
        .filter_map(|id| packages.get(id))
        .map(|package| {
            let version = package.version.to_string();
            component(
                "cargo",
                &package.name,
                &version,
                package.license.as_deref(),
                code_of(report, &package.name, &version),
            )
        })
        .collect();
    let known: BTreeSet<&str> = packages.values().map(|package| package.name.as_str()).collect();
    let of_rust =
        report.code.iter().filter(|code| code.package != "?" && !known.contains(code.package.as_str()));
    components.extend(of_rust.map(|code| {
        component("generic", &format!("rust-{}", code.package), &code.version, Some(RUST_LICENSE), code.bytes)
    }));
    components.sort_by_key(reference_of);
    let mut edges: Vec<Value> = dependencies
        .iter()
        .filter_map(|(id, needs)| {
            let mut needs: Vec<String> = needs.iter().filter_map(|id| reference(id)).collect();
            needs.sort();
            Some(json!({ "ref": reference(id)?, "dependsOn": needs }))
        })
        .collect();
    edges.sort_by_key(reference_of);
    let bom = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial_number(&report.image.sha256)?,
        "version": 1,
        "metadata": subject(packages.get(root)?, report),
        "components": components,
        "dependencies": edges,
    });
    let mut json = serde_json::to_vec_pretty(&bom).ok()?;
    json.push(b'\n');
    Some(json)
}

fn reference_of(entry: &Value) -> Option<String> {
    let reference = entry.get("bom-ref").or_else(|| entry.get("ref"))?;
    reference.as_str().map(str::to_owned)
}

/// The packages that an image's code can come from, each with those that it needs of them.
fn closure<'metadata>(
    metadata: &'metadata Metadata,
    root: &'metadata PackageId,
    compiled: &HashSet<PackageId>,
) -> HashMap<&'metadata PackageId, Vec<&'metadata PackageId>> {
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let nodes: HashMap<&PackageId, _> = nodes.map(|node| (&node.id, node)).collect();
    let macros = metadata
        .packages
        .iter()
        .filter(|package| package.targets.iter().any(|target| target.kind.contains(&TargetKind::ProcMacro)));
    let macros: HashSet<&PackageId> = macros.map(|package| &package.id).collect();
    let mut found = HashMap::new();
    let mut ahead = vec![root];
    while let Some(id) = ahead.pop() {
        let Some(node) = nodes.get(id).filter(|_| !found.contains_key(id)) else { continue };
        let normal = node
            .deps
            .iter()
            .filter(|dependency| dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
        let needs = normal.map(|dependency| &dependency.pkg);
        let needs: Vec<_> = needs.filter(|&id| compiled.contains(id) && !macros.contains(id)).collect();
        ahead.extend(&needs);
        found.insert(id, needs);
    }
    found
}

fn code_of(report: &Report, name: &str, version: &str) -> u64 {
    let own = report.code.iter().filter(|code| code.package == name && code.version == version);
    own.map(|code| code.bytes).sum()
}

fn component(kind: &str, name: &str, version: &str, license: Option<&str>, code_bytes: u64) -> Value {
    let reference = format!("pkg:{kind}/{name}@{version}");
    // The only character of names and versions that a package URL has another use for.
    let purl = reference.replace('+', "%2B");
    json!({
        "type": "library",
        "bom-ref": reference,
        "purl": purl,
        "name": name,
        "version": version,
        "scope": if code_bytes > 0 { "required" } else { "excluded" },
        "licenses": licenses(license),
        "properties": [{ "name": "ringwall:code_bytes", "value": code_bytes.to_string() }],
    })
}

fn reference(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{version}")
}

/// An SPDX expression, for which crates used to write `/` in place of `OR`.
fn licenses(expression: Option<&str>) -> Value {
    expression
        .map_or_else(|| json!([]), |expression| json!([{ "expression": expression.replace('/', " OR ") }]))
}

/// The image itself, and what made it.
fn subject(package: &Package, report: &Report) -> Value {
    json!({
        "tools": [
            { "name": "ringwall", "version": report.ringwall },
            { "name": "rustc", "version": report.toolchain.rustc },
        ],
        "component": {
            "type": "application",
            "bom-ref": reference(&report.name, &report.version),
            "name": report.name,
            "version": report.version,
            "licenses": licenses(package.license.as_deref()),
            "hashes": [{ "alg": "SHA-256", "content": report.image.sha256 }],
            "properties": [{ "name": "ringwall:seed", "value": report.seed.to_string() }],
        },
    })
}

/// A UUID of RFC 9562's version 8, "custom", out of the image's digest.
fn serial_number(sha256: &str) -> Option<String> {
    let part = |start, end| sha256.get(start..end);
    let (a, b, c) = (part(0, 8)?, part(8, 12)?, part(13, 16)?);
    let (d, e) = (part(17, 20)?, part(20, 32)?);
    Some(format!("urn:uuid:{a}-{b}-8{c}-8{d}-{e}"))
}
