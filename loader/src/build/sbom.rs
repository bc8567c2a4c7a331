//! The bill of materials, `NAME.cdx.json` beside the image: CycloneDX 1.5, of what is in the image.
//!
//! Components are the packages that cargo compiled for the image: the closure of its normal dependencies, without build scripts' and
//! tests'. One that has code in the image is `required`. One without is `excluded`, in the specification's words not part of what runs:
//! its types and constants may still have shaped the rest. The document holds no time and no random number, so that the same
//! image has the same one.

use std::collections::{BTreeSet, HashMap, HashSet};

use cargo_metadata::{DependencyKind, Metadata, Package, PackageId, TargetKind};
use cyclonedx_bom::external_models::spdx::SpdxExpression;
use cyclonedx_bom::models::component::{Classification, Component, Components, Scope};
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::models::metadata::Metadata as Subject;
use cyclonedx_bom::models::property::{Properties, Property};
use cyclonedx_bom::models::tool::{Tool, Tools};
use cyclonedx_bom::prelude::{Bom, NormalizedString, Purl, SpecVersion, UrnUuid};

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
    let mut components: Vec<Component> = dependencies
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
    components.sort_by(|left, right| left.bom_ref.cmp(&right.bom_ref));
    let mut edges: Vec<Dependency> = dependencies
        .iter()
        .filter_map(|(id, needs)| {
            let mut dependencies: Vec<String> = needs.iter().filter_map(|id| reference(id)).collect();
            dependencies.sort();
            Some(Dependency { dependency_ref: reference(id)?, dependencies })
        })
        .collect();
    edges.sort_by(|left, right| left.dependency_ref.cmp(&right.dependency_ref));
    let bom = Bom {
        spec_version: SpecVersion::V1_5,
        serial_number: serial_number(&report.image.sha256),
        metadata: Some(subject(packages.get(root)?, report)),
        components: Some(Components(components)),
        dependencies: Some(Dependencies(edges)),
        ..Bom::default()
    };
    let mut json = Vec::new();
    bom.output_as_json_v1_5(&mut json).ok()?;
    json.push(b'\n');
    Some(json)
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

fn component(kind: &str, name: &str, version: &str, license: Option<&str>, code_bytes: u64) -> Component {
    let mut component = Component::new(Classification::Library, name, version, None);
    component.purl = Purl::new(kind, name, version).ok();
    component.bom_ref = Some(match kind {
        "cargo" => reference(name, version),
        _ => format!("pkg:{kind}/{name}@{version}"),
    });
    component.scope = Some(if code_bytes > 0 { Scope::Required } else { Scope::Excluded });
    component.licenses = licenses(license);
    component.properties =
        Some(Properties(vec![Property::new("ringwall:code_bytes", &code_bytes.to_string())]));
    component
}

fn reference(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{version}")
}

fn licenses(expression: Option<&str>) -> Option<Licenses> {
    let expression = SpdxExpression::parse_lax(expression?.to_owned()).ok()?;
    Some(Licenses(vec![LicenseChoice::Expression(expression)]))
}

/// The image itself, and what made it.
fn subject(package: &Package, report: &Report) -> Subject {
    let mut image = Component::new(Classification::Application, &report.name, &report.version, None);
    image.bom_ref = Some(reference(&report.name, &report.version));
    image.licenses = licenses(package.license.as_deref());
    image.hashes = Some(Hashes(vec![Hash {
        alg: HashAlgorithm::SHA_256,
        content: HashValue(report.image.sha256.clone()),
    }]));
    image.properties = Some(Properties(vec![Property::new("ringwall:seed", &report.seed.to_string())]));
    let tool = |name: &str, version: &str| Tool {
        name: Some(NormalizedString::new(name)),
        version: Some(NormalizedString::new(version)),
        ..Tool::default()
    };
    let tools = vec![tool("ringwall", &report.ringwall), tool("rustc", &report.toolchain.rustc)];
    Subject { component: Some(image), tools: Some(Tools::List(tools)), ..Subject::default() }
}

/// A UUID of RFC 9562's version 8, "custom", out of the image's digest.
fn serial_number(sha256: &str) -> Option<UrnUuid> {
    let part = |start, end| sha256.get(start..end);
    let (a, b, c) = (part(0, 8)?, part(8, 12)?, part(13, 16)?);
    let (d, e) = (part(17, 20)?, part(20, 32)?);
    UrnUuid::new(format!("urn:uuid:{a}-{b}-8{c}-8{d}-{e}")).ok()
}
