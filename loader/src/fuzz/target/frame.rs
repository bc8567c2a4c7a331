//! Frames at the network helper, and descriptors by themselves.

use hvcall::{Call, CallEntry, DiskInfo, Frame, Request, Status, Wire as _};

use super::bytes::Bytes;
use crate::fuzz::model::Violation;
use crate::net::user::{FrameProbe, UserNet};

/// Frames of each kind that the helper acts on.
pub(super) fn frame() -> Bytes {
    let mut probe = FrameProbe::new();
    Bytes::new(frames(), &[b"\x08\x00", b"\x86\xdd", b"\x08\x06", b"\x45\x00", b"\x60\x00"], move |frame| {
        let Ok(probe) = &mut probe else { return Ok(0) };
        let (kind, answer_bytes) = probe.take(frame);
        if answer_bytes > frame.len() + 256 {
            return Err(Violation::new(
                "answer",
                format!("{answer_bytes} bytes to a frame of {}", frame.len()),
            ));
        }
        Ok(kind << 12 | u32::try_from(answer_bytes / 16).unwrap_or(0))
    })
}

fn frames() -> Vec<Vec<u8>> {
    let guest = UserNet::GUEST_V4.octets();
    let gateway = UserNet::GATEWAY_V4.octets();
    let ethernet = |ethertype: [u8; 2], payload: &[u8]| {
        [&UserNet::GATEWAY_MAC[..], &UserNet::GUEST_MAC, &ethertype, payload].concat()
    };
    let v4 = |protocol: u8, payload: &[u8]| {
        let total = u16::try_from(20 + payload.len()).unwrap_or(0).to_be_bytes();
        let header = [[0x45, 0, total[0], total[1]], [0, 0, 0x40, 0], [64, protocol, 0, 0], guest, gateway];
        ethernet([8, 0], &[header.as_flattened(), payload].concat())
    };
    let v6 = |next: u8, payload: &[u8]| {
        let len = u16::try_from(payload.len()).unwrap_or(0).to_be_bytes();
        let header = [&[0x60, 0, 0, 0, len[0], len[1], next, 255][..], &UserNet::GUEST_V6.octets()].concat();
        ethernet([0x86, 0xdd], &[&header[..], &UserNet::GATEWAY_V6.octets(), payload].concat())
    };
    let tcp =
        [&[0x13, 0x88, 0, 80, 0, 0, 3, 0xe8, 0, 0, 0, 0, 0x60, 2, 16, 0, 0, 0, 0, 0][..], &[2, 4, 5, 0xb4]]
            .concat();
    let udp = [&[0x13, 0x88, 0, 53, 0, 40, 0, 0][..], &[7; 32]].concat();
    let echo = [&[8, 0, 0xf7, 0xff, 0, 1, 0, 2][..], &[7; 24]].concat();
    let solicit = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &UserNet::GATEWAY_V6.octets()].concat();
    let who_has = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &UserNet::GUEST_MAC, &guest, &[0; 6], &gateway].concat();
    vec![
        ethernet([8, 6], &who_has),
        v4(6, &tcp),
        v4(17, &udp),
        v4(1, &echo),
        v6(6, &tcp),
        v6(17, &udp),
        v6(58, &solicit),
        v6(58, &[&[128][..], &echo[1..]].concat()),
    ]
}

/// A call entry, a frame and a request, one after the other.
fn descriptors() -> Vec<Vec<u8>> {
    let calls = (0..10).map(|nr: u8| {
        let mut bytes = vec![0; CallEntry::SIZE_BYTES + Frame::SIZE_BYTES + Request::SIZE_BYTES];
        let flags = u16::from(nr & 1);
        let entry = CallEntry { nr: u64::from(nr), arguments: [0, 0x10_0000, 2, 0, 0, 0], result: 0 };
        entry.write(&mut bytes);
        let frame =
            Frame { flags, csum_start: 34 * flags, csum_offset: 16 * flags, ..Frame::plain(0x10_0000, 60) };
        frame.write(&mut bytes[CallEntry::SIZE_BYTES..]);
        let request =
            Request { tag: 7, sector: 9, address: 0x10_0000, sectors: 8, operation: u32::from(nr & 3) };
        request.write(&mut bytes[CallEntry::SIZE_BYTES + Frame::SIZE_BYTES..]);
        bytes
    });
    calls.collect()
}

/// Registers and descriptors.
pub(super) fn descriptor() -> Bytes {
    let disk = DiskInfo { sectors: 1 << 40, sector_bytes: 512, flags: 0 };
    Bytes::new(descriptors(), &[], move |input| {
        let mut bytes = [0; CallEntry::SIZE_BYTES + Frame::SIZE_BYTES + Request::SIZE_BYTES];
        let len = input.len().min(bytes.len());
        bytes[..len].copy_from_slice(&input[..len]);
        let raw = CallEntry::read(&bytes).raw();
        let call = Call::decode(&raw);
        if let Ok(call) = &call {
            let again = call.encode();
            if again.arguments != raw.arguments || again.nr != raw.nr & 0xffff_ffff {
                return Err(Violation::new("round trip", format!("{raw:x?} became {again:x?}")));
            }
        }
        let frame = Frame::read(&bytes[CallEntry::SIZE_BYTES..]);
        let sent = [frame.check_send(false, false), frame.check_send(true, true), frame.check_receive()];
        let sent = sent.iter().fold(0, |all, one| all << 1 | u32::from(one.is_ok()));
        let request = Request::read(&bytes[CallEntry::SIZE_BYTES + Frame::SIZE_BYTES..]);
        let checked = request.check(&disk);
        let end = u128::from(request.sector) + u128::from(request.sectors);
        if checked.is_ok() && end > u128::from(disk.sectors) {
            return Err(Violation::new("disk", format!("{request:?} lies beyond the disk")));
        }
        let nr = u32::try_from(raw.nr & 15).unwrap_or(0);
        Ok(nr << 12 | number(call.err()) << 8 | sent << 4 | number(checked.err()))
    })
}

fn number(failed: Option<Status>) -> u32 {
    failed.map_or(0, |status| u32::try_from(-status.to_result()).unwrap_or(15))
}
