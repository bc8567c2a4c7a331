//! Receipts of runs that never were.

use super::*;
use crate::evidence::record::Closing;
use crate::monitor::end::EndRecord;

fn begun(folder: &std::path::Path) -> Receipt {
    Receipt {
        output: Output::create(&folder.join("receipt"), 0o644).unwrap(),
        backend: Backend::Kvm,
        what: json!("a run"),
        started: SystemTime::now(),
        clock: Instant::now(),
    }
}

fn report(after: u8) -> Report {
    let end = End::Exit(GuestExit::Status(0));
    let opening = Opening { has_digests: 1, ..Opening::default() };
    let mut closing = Closing { has_digests: 1, ..Closing::default() };
    closing.digests.page_tables[31] = after;
    Report { opening: Some(opening), end: Some((EndRecord::new(end), end)), closing: Some(closing) }
}

fn written(report: &Report, code: u8) -> (ExitCode, Value) {
    let folder = tempfile::tempdir().unwrap();
    let code = begun(folder.path()).write(Outcome::Exited(code), report, ExitCode(code));
    let text = std::fs::read_to_string(folder.path().join("receipt")).unwrap();
    (code, serde_json::from_str(&text).unwrap())
}

#[test]
fn memory_that_has_changed_is_a_bug_of_the_monitor_whatever_the_guest_said() {
    let (code, receipt) = written(&report(1), 0);
    assert_eq!(code, ExitCode::MONITOR_BUG);
    assert_eq!(receipt["memory"]["unchanged"], json!(false));
    assert_eq!(receipt["end"]["exit_code"], json!(70));
    let (code, receipt) = written(&report(0), 7);
    assert_eq!(code, ExitCode(7));
    assert_eq!(receipt["memory"]["unchanged"], json!(true));
}

#[test]
fn monitor_that_did_not_get_as_far_leaves_gaps_and_no_claim() {
    let before = Report { closing: None, end: None, ..report(0) };
    let (code, receipt) = written(&before, 71);
    assert_eq!(code, ExitCode(71));
    assert_eq!(receipt["memory"]["unchanged"], Value::Null);
    assert_eq!(receipt["memory"]["after"], Value::Null);
    assert!(receipt["memory"]["before"]["text"].is_string());
    let (_, receipt) = written(&Report::default(), 71);
    assert_eq!(receipt["end"]["reason"], json!("no guest ran"));
    assert_eq!(receipt["memory"]["before"], Value::Null);
}
