//! Landlock with no rule: no path, no TCP port, no signal and no abstract socket outside.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, NetPort, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, Scope,
};

/// The newest version whose restrictions are asked for: TCP came with 4, devices with 5, signals and abstract sockets with 6.
pub(super) const NEWEST: i32 = 6;
const NEWEST_ABI: ABI = ABI::V6;

/// Closes files, network, signals and abstract sockets. Kernels that know fewer of these give what they have; see
/// [`super::lacking`].
pub(crate) fn close_all() -> Result<(), RulesetError> {
    ruleset()?.handle_access(AccessNet::from_all(NEWEST_ABI))?.create()?.restrict_self()?;
    Ok(())
}

/// The same for a process that connects to TCP ports, or to any of them if it is not said which.
pub(crate) fn close_all_but_tcp(ports: Option<&[u16]>) -> Result<(), RulesetError> {
    let rules = ruleset()?.handle_access(AccessNet::BindTcp)?;
    let Some(ports) = ports else {
        rules.create()?.restrict_self()?;
        return Ok(());
    };
    let mut rules = rules.handle_access(AccessNet::ConnectTcp)?.create()?;
    for port in ports {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    rules.restrict_self()?;
    Ok(())
}

fn ruleset() -> Result<Ruleset, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST_ABI))?
        .scope(Scope::from_all(NEWEST_ABI))
}
