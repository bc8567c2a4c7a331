//! Settings, the baked configuration, and what is said about bad ones.

use std::string::{String, ToString as _};
use std::time::Duration;
use std::vec::Vec;

use crate::BAKED;
use crate::config::{Config, Policy};

#[path = "../../build/read.rs"]
mod read;

const EXAMPLE: &str = include_str!("../../lb.toml");

fn wrong(text: &str) -> String {
    read::settings("lb.toml", text).unwrap_err()
}

#[test]
fn the_example_has_every_setting_with_its_default() {
    let baked = read::settings("lb.toml", EXAMPLE).unwrap();
    let baked: Vec<(&str, &str)> = baked.iter().map(|(name, value)| (&**name, &**value)).collect();
    let config = Config::from_parts(&baked, []).unwrap();
    let backends = ["10.0.2.2:8001", "10.0.2.2:8002"].map(|address| address.parse().unwrap()).to_vec();
    assert_eq!(config, Config { backends, ..Config::default() });
    // As many as fields, of which those about health are in a structure of their own.
    assert_eq!(baked.len(), 17);
}

#[test]
fn the_baked_configuration_is_one() {
    assert!(Config::from_parts(BAKED, []).is_ok());
}

#[test]
fn mistakes_are_reported_with_their_line() {
    let good = "listen = 80\n\nbackends = [\"10.0.0.1:80\"]\n";
    assert!(read::settings("lb.toml", good).is_ok());
    for (line, start) in [
        ("health-fall = 0", "lb.toml:4: health-fall: `0` is not a number from 1 to 100"),
        ("listen", "lb.toml:4: "),
        ("speed = 11", "lb.toml:4: speed: there is no setting `speed`"),
        ("listen = 81", "lb.toml:4: duplicate key"),
        ("buffer = 1.5", "lb.toml:4: buffer: a float is no value"),
        ("balance = \"random\"", "lb.toml:4: balance: `random` is neither"),
        ("connect-timeout = \"1 s\"", "lb.toml:4: connect-timeout: `1 s` is not a time"),
        ("idle-timeout = \"25h\"", "lb.toml:4: idle-timeout: `25h` is not a time"),
        ("health-path = \"health\"", "lb.toml:4: health-path: `health` is not a path"),
        ("status = 80", "lb.toml: `listen` and `status` are both port 80"),
    ] {
        let said = wrong(&std::format!("{good}{line}\n"));
        assert!(said.starts_with(start), "{line}: {said}");
    }
    assert_eq!(wrong("listen = 80"), "lb.toml: `backends` is missing: there is nowhere to lead connections");
}

#[test]
fn backends_that_nobody_can_reach_are_refused() {
    for (list, reason) in [
        ("\"10.0.0.1\"", "is not ADDRESS:PORT"),
        ("\"example.org:80\"", "is not ADDRESS:PORT"),
        ("\"0.0.0.0:80\"", "is nobody's address"),
        ("\"10.0.0.1:0\"", "is nobody's address"),
        ("\"10.0.0.1:80\", \"10.0.0.1:80\"", "is there twice"),
        ("80", "a list has strings"),
        ("", "there must be 1 to 64 backends, not 0"),
    ] {
        let said = wrong(&std::format!("\nbackends = [{list}]"));
        assert!(said.starts_with("lb.toml:2: backends: ") && said.contains(reason), "{list}: {said}");
    }
    let many: Vec<String> = (1..66).map(|host| std::format!("\"10.0.0.{host}:80\"")).collect();
    assert!(wrong(&std::format!("backends = [{}]", many.join(","))).contains("not 65"));
}

#[test]
fn arguments_change_settings_unless_they_may_not() {
    let baked = [("backends", "10.0.0.1:80"), ("listen", "81")];
    let changes = ["balance=least-connections", "idle-timeout=2m", "status=0", "backends=[fd00::1]:80"];
    let config = Config::from_parts(&baked, changes).unwrap();
    assert_eq!((config.listen, config.policy, config.status), (81, Policy::LeastConnections, None));
    assert_eq!(config.idle_timeout, Duration::from_secs(120));
    assert_eq!(config.backends[0].to_string(), "[fd00::1]:80");
    for (argument, reason) in
        [("listen", "is not NAME=VALUE"), ("listen=x", "listen: "), ("x=1", "x: there is no")]
    {
        assert!(Config::from_parts(&baked, [argument]).unwrap_err().contains(reason));
    }
    let sealed = [baked[0], ("arguments", "false")];
    assert!(Config::from_parts(&sealed, []).is_ok());
    assert!(Config::from_parts(&sealed, ["listen=82"]).unwrap_err().contains("allows no arguments"));
}
