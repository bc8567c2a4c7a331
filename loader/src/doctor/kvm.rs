//! KVM: present, permitted, complete, and able to create a machine.

use std::io;
use std::path::Path;

use kvm_bindings::KVM_API_VERSION;
use kvm_ioctls::{Cap, Kvm};

use super::Check;
use crate::backend::kvm::{CAPABILITIES, GateChoice, gate};
use crate::layout::Gate;

/// KVM's modules and who they are for. Any of them will do.
const MODULES: [&str; 3] = ["kvm_intel", "kvm_amd", "kvm_pvm"];

pub(super) fn checks() -> Vec<Check> {
    let kvm = match Kvm::new() {
        Ok(kvm) => kvm,
        Err(error) => return vec![cannot_open(io::Error::from_raw_os_error(error.errno()))],
    };
    let version = kvm.get_api_version();
    if version.cast_unsigned() != KVM_API_VERSION {
        let found = format!("API version {version}, needed is {KVM_API_VERSION}");
        return vec![Check::missing("kvm", found, "use Linux 5.13 or newer")];
    }
    let module = MODULES.iter().find(|module| Path::new("/sys/module").join(module).exists());
    let module = module.map_or("built in", |module| module);
    let mut checks = vec![Check::ok("kvm", format!("/dev/kvm, API version {version}, {module}"))];
    checks.push(capabilities(&kvm));
    checks.push(machine(&kvm));
    checks.push(gate(&kvm));
    checks
}

fn cannot_open(error: io::Error) -> Check {
    let found = format!("cannot open /dev/kvm: {error}");
    let advice = if error.kind() == io::ErrorKind::PermissionDenied {
        "join the group that owns it, then log in again: `sudo usermod -aG \"$(stat -c %G /dev/kvm)\" $USER`, or if that \
         is root: `sudo setfacl -m u:$USER:rw /dev/kvm`"
    } else if error.kind() == io::ErrorKind::NotFound && Path::new("/sys/module/kvm").exists() {
        "KVM is in the kernel but the device file is not in this container: pass it in, as with `--device /dev/kvm`"
    } else {
        "load the module (`sudo modprobe kvm_intel` or `kvm_amd`); if that fails, turn virtualisation on in the firmware, \
         or nested virtualisation on in the hypervisor above this machine"
    };
    Check::missing("kvm", found, advice)
}

fn capabilities(kvm: &Kvm) -> Check {
    let (present, absent): (Vec<_>, Vec<_>) =
        CAPABILITIES.iter().partition(|(capability, _)| kvm.check_extension(*capability));
    let names = |list: &[&(Cap, &str)]| list.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
    if absent.is_empty() {
        Check::ok("kvm capabilities", names(&present))
    } else {
        let found = format!("without {}", names(&absent));
        Check::missing("kvm capabilities", found, "use a newer kernel, or another KVM module")
    }
}

/// Creates a machine with one vCPU and lets it go again.
fn machine(kvm: &Kvm) -> Check {
    let created = kvm.create_vm().and_then(|vm| vm.create_vcpu(0));
    match created {
        Ok(_vcpu) => Check::ok("virtual machine", "created one with a vCPU"),
        Err(error) => {
            let found = format!("cannot create one: {}", io::Error::from_raw_os_error(error.errno()));
            let advice = "another hypervisor may be using the processor (VirtualBox, VMware), or memory or descriptors are \
                          short; `dmesg | tail` may say";
            Check::missing("virtual machine", found, advice)
        }
    }
}

/// The way out of a guest.
fn gate(kvm: &Kvm) -> Check {
    match gate::choose(kvm, GateChoice::Auto) {
        Ok(Gate::PORT) => {
            Check::ok("gate", "port: `out`, by the TSS bitmap; this KVM passes no hypercall on")
        }
        Ok(gate) => Check::ok("gate", format!("{}: this KVM passes the hypercall on", gate.name)),
        Err(error) => Check::missing("gate", error.to_string(), "use another KVM module"),
    }
}
