//! The network: guest and peers side by side, in network namespaces of this process's own.

mod bulk;
mod command;
mod crowd;
mod flood;
mod frames;
mod guest;
mod http;
mod lb;
mod native;
mod nginx;
mod rest;
mod user;
mod world;
mod wrk;

use bench::result::Comparison;
use bench::statistics::median;

use crate::{Backend, Failure};
use world::{PEER, World};

/// How often each pair is measured unless told otherwise.
pub(crate) const ROUNDS: usize = 5;

/// A part of the network's benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Bare frames
    Frames,
    /// TCP in bulk
    Bulk,
    /// TCP in bulk through a frame policy
    Policy,
    /// Many idle connections
    Crowd,
    /// Idling and waking up
    Rest,
    /// TCP in bulk over the `user` network
    User,
}

/// All parts, or the given one.
pub(crate) fn measure(
    backend: Backend,
    rounds: usize,
    only: Option<Part>,
) -> Result<Vec<Comparison>, Failure> {
    let world = World::new()?;
    world.as_peer(|| native::serve(PEER))?;
    let mut rows = Vec::new();
    for part in [Part::Frames, Part::Bulk, Part::Policy, Part::Crowd, Part::Rest, Part::User] {
        if only.is_none_or(|only| only == part) {
            rows.extend(match part {
                Part::Frames => frames::measure(backend, rounds)?,
                Part::Bulk => bulk::measure(backend, rounds)?,
                Part::Policy => bulk::measure_policy(backend, rounds)?,
                Part::Crowd => crowd::measure(backend, rounds)?,
                Part::Rest => rest::measure(backend, rounds)?,
                Part::User => user::measure(&world, backend, rounds)?,
            });
        }
    }
    Ok(rows)
}

/// `web` beside nginx.
pub(crate) fn measure_http(backend: Backend, rounds: usize) -> Result<Vec<Comparison>, Failure> {
    http::measure(&World::new()?, backend, rounds)
}

/// `lb` beside HAProxy.
pub(crate) fn measure_lb(backend: Backend, rounds: usize) -> Result<Vec<Comparison>, Failure> {
    lb::measure(&World::new()?, backend, rounds)
}

/// Both sides in turn, `rounds` times.
fn in_turn(
    name: &'static str,
    unit: &'static str,
    rounds: usize,
    mut ours: impl FnMut() -> Result<f64, Failure>,
    mut reference: impl FnMut() -> Result<f64, Failure>,
) -> Result<Comparison, Failure> {
    let pairs = (0..rounds).map(|_| Ok((ours()?, reference()?))).collect::<Result<Vec<_>, Failure>>()?;
    Ok(of_pairs(name, unit, &pairs))
}

/// The comparison that pairs of numbers make, ours first.
fn of_pairs(name: &'static str, unit: &'static str, pairs: &[(f64, f64)]) -> Comparison {
    let of = |pick: fn(&(f64, f64)) -> f64| median(&mut pairs.iter().map(pick).collect::<Vec<_>>());
    Comparison {
        name,
        unit,
        ours: of(|pair| pair.0),
        reference: of(|pair| pair.1),
        ratio: of(|pair| pair.0 / pair.1),
    }
}
