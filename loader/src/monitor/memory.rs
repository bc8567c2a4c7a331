//! The guest memory window: from a guest's claim to a proven range of host memory.
//!
//! A claim (address and length) becomes a [`Source`] or a [`Target`] by one lookup in a table of the guest's regions, of which the
//! image parser has bounded the number. Holding one proves that the whole range lies in one region, that CPL 3 may read it, and for a
//! target that CPL 3 may write it. Monitor pages are not in the table, so no claim ever reaches them.
#![expect(unsafe_code, reason = "copies bytes between host and guest memory")]

use std::ptr::NonNull;

use hvcall::{Gva, Status, Wire, planted};

use crate::address::index;
use crate::image::Permission;
use crate::layout::{Plan, Region, RegionKind, Slot};
use crate::memory::{SealedMemory, WritableMemory};

/// Guest memory that CPL 3 may read.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    host: NonNull<u8>,
    size_bytes: usize,
}

/// Guest memory that CPL 3 may read and write.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    host: NonNull<u8>,
    size_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    start: u64,
    size_bytes: u64,
    host: NonNull<u8>,
    writable: bool,
}

/// The memory of one guest, as its calls see it.
#[derive(Debug)]
pub struct GuestMemory {
    windows: Box<[Window]>,
    fault_stacks: [Window; 2],
    sealed: SealedMemory,
    writable: WritableMemory,
}

impl GuestMemory {
    /// The window for a plan over the memory that backs it.
    ///
    /// # Panics
    /// If the memory is smaller than the plan.
    #[must_use]
    pub fn new(plan: &Plan, sealed: SealedMemory, writable: WritableMemory) -> Self {
        assert!(sealed.size_bytes() as u64 >= plan.slot_bytes(Slot::ReadOnly));
        assert!(writable.size_bytes() as u64 >= plan.slot_bytes(Slot::Writable));
        let window = |region: &crate::layout::Region| {
            let base = match region.slot {
                Slot::Writable => writable.base(),
                Slot::ReadOnly | Slot::Tables => sealed.base(),
            };
            // SAFETY: the region ends within its slot's memory, as asserted above.
            let host = unsafe { base.add(index(region.offset)) };
            let writable = region.permission == Permission::ReadWrite;
            Window { start: region.gva.0, size_bytes: region.size_bytes, host, writable }
        };
        let named = |region: &&Region| planted!(MonitorPagesNamed => region.user, is_guests_own(region.kind));
        let windows = plan.regions.iter().filter(named).map(window).collect();
        let fault_stacks =
            [RegionKind::FaultStack, RegionKind::DoubleFaultStack].map(|kind| window(plan.region(kind)));
        Self { windows, fault_stacks, sealed, writable }
    }

    /// Proves that a range may be read.
    ///
    /// # Errors
    /// `FAULT` if any byte of it is outside, or in another region than the first.
    pub fn source(&self, address: Gva, size_bytes: u64) -> Result<Source, Status> {
        let (host, _) = self.find(address, size_bytes)?;
        Ok(Source { host, size_bytes: index(size_bytes) })
    }

    /// Proves that a range may be read and written.
    ///
    /// # Errors
    /// `FAULT` if any byte of it is outside, read-only, or in another region than the first.
    pub fn target(&self, address: Gva, size_bytes: u64) -> Result<Target, Status> {
        let (host, writable) = self.find(address, size_bytes)?;
        if planted!(PermissionNotChecked => true, writable) {
            Ok(Target { host, size_bytes: index(size_bytes) })
        } else {
            Err(Status::FAULT)
        }
    }

    /// The last `N` bytes of the page on which the CPU left an exception's frame: guest-writable, so only evidence.
    #[must_use]
    pub fn fault_frame<const N: usize>(&self, double_fault: bool) -> [u8; N] {
        let stack = &self.fault_stacks[usize::from(double_fault)];
        let size_bytes = index(stack.size_bytes);
        let skip = size_bytes.saturating_sub(N);
        // SAFETY: `skip` is at most the window's size.
        let host = unsafe { stack.host.add(skip) };
        let mut frame = [0; N];
        Source { host, size_bytes: size_bytes - skip }.copy_to(&mut frame);
        frame
    }

    /// The `N` bytes at `address` on the fault stack, if all of them lie there: as little authority as
    /// [`Self::fault_frame`].
    #[must_use]
    pub fn on_fault_stack<const N: usize>(&self, address: Gva) -> Option<[u8; N]> {
        let stack = &self.fault_stacks[0];
        let inside = address.0.checked_sub(stack.start)?;
        if inside.checked_add(N as u64)? > stack.size_bytes {
            return None;
        }
        // SAFETY: `inside` is below the window's size.
        let host = unsafe { stack.host.add(index(inside)) };
        let mut bytes = [0; N];
        Source { host, size_bytes: N }.copy_to(&mut bytes);
        Some(bytes)
    }

    /// The sealed half, for hashing and tests.
    #[must_use]
    pub const fn sealed(&self) -> &SealedMemory {
        &self.sealed
    }

    /// The writable half, for tests.
    #[must_use]
    pub const fn writable(&self) -> &WritableMemory {
        &self.writable
    }

    /// The writable half, to set a machine up.
    #[must_use]
    pub const fn writable_mut(&mut self) -> &mut WritableMemory {
        &mut self.writable
    }

    fn find(&self, address: Gva, size_bytes: u64) -> Result<(NonNull<u8>, bool), Status> {
        if size_bytes == 0 {
            // No byte of it is outside. Only arrays without entries come here.
            return Ok((NonNull::dangling(), true));
        }
        for window in &self.windows {
            let inside = address.0.checked_sub(window.start);
            let Some(inside) = planted!(AddressWraps => inside.map(|far| far & 0xffff_ffff), inside) else {
                continue;
            };
            if inside < window.size_bytes {
                let room =
                    planted!(OffByOneAtEnd => window.size_bytes - inside + 1, window.size_bytes - inside);
                if size_bytes > planted!(EndNotChecked => u64::MAX, room) {
                    return Err(Status::FAULT);
                }
                // SAFETY: `inside` is below the window's size, and the window lies in memory that `self` owns.
                return Ok((unsafe { window.host.add(index(inside)) }, window.writable));
            }
        }
        Err(Status::FAULT)
    }
}

const fn is_guests_own(kind: RegionKind) -> bool {
    match kind {
        RegionKind::Text
        | RegionKind::ReadOnlyData
        | RegionKind::Data
        | RegionKind::BootInfo
        | RegionKind::Stack
        | RegionKind::Heap => true,
        RegionKind::Stubs
        | RegionKind::FaultStack
        | RegionKind::DoubleFaultStack
        | RegionKind::Descriptors => false,
    }
}

impl Source {
    /// Copies the first bytes into `bytes`, as many as both have. The one fetch of whatever is there.
    pub fn copy_to(&self, bytes: &mut [u8]) {
        let count = self.size_bytes.min(bytes.len());
        // SAFETY: the range was proven when `self` was made and its memory lives as long as the machine; `bytes` is the
        // monitor's own. The vCPU is stopped, so nobody writes meanwhile.
        unsafe { std::ptr::copy_nonoverlapping(self.host.as_ptr(), bytes.as_mut_ptr(), count) };
    }

    /// Address and length, for a system call.
    #[must_use]
    pub const fn raw(&self) -> (*const u8, usize) {
        (self.host.as_ptr().cast_const(), self.size_bytes)
    }

    /// Decodes a copy of one structure.
    #[must_use]
    pub fn read<T: Wire, const N: usize>(&self) -> T {
        let mut copy = [0; N];
        self.copy_to(&mut copy);
        T::read(&copy)
    }
}

impl Target {
    /// Copies `bytes` to the start of the range, as many as both have.
    pub fn copy_from(&self, bytes: &[u8]) {
        let count = self.size_bytes.min(bytes.len());
        // SAFETY: the range was proven writable when `self` was made and its memory lives as long as the machine; `bytes` is
        // the monitor's own.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.host.as_ptr(), count) };
    }

    /// Address and length, for a system call.
    #[must_use]
    pub const fn raw(&self) -> (*mut u8, usize) {
        (self.host.as_ptr(), self.size_bytes)
    }

    /// The part from `offset` on; empty where that is past the end.
    #[must_use]
    pub fn from_offset(&self, offset: usize) -> Self {
        let skip = offset.min(self.size_bytes);
        // SAFETY: `skip` is at most the size of the proven range.
        Self { host: unsafe { self.host.add(skip) }, size_bytes: self.size_bytes - skip }
    }

    /// The same range as a source.
    #[must_use]
    pub const fn as_source(&self) -> Source {
        Source { host: self.host, size_bytes: self.size_bytes }
    }
}
