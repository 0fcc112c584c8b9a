//! What statuses become.

use super::*;

#[test]
fn a_verdict_is_told_from_a_connection_that_broke() {
    let verdicts = [
        Status::failed_precondition("no"),
        Status::invalid_argument("no"),
        Status::not_found("no"),
        Status::permission_denied("no"),
        Status::internal("the disk is full"),
        Status::unimplemented("no"),
    ];
    for status in verdicts {
        assert!(!is_lost(&status), "{status:?}");
    }
    let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    let lost = [
        Status::from_error(Box::new(broken)),
        Status::unavailable("stopping"),
        Status::unknown("missing grpc-status trailer"),
        Status::internal("Unexpected EOF decoding stream."),
        Status::deadline_exceeded("silent"),
    ];
    for status in lost {
        assert!(is_lost(&status), "{status:?}");
        assert_eq!(
            Failure::from_status("do it", &status).exit,
            Exit::Unreachable
        );
    }
}

#[test]
fn a_status_without_a_refusal_is_still_a_sentence() {
    let failure = Failure::from_status(
        "show operation 5nzq8c",
        &Status::internal("the disk\u{7} is full"),
    );
    assert_eq!(failure.exit, Exit::Failed);
    assert_eq!(
        failure.sentence,
        "cannot show operation 5nzq8c: the disk\\u{7} is full"
    );
}

#[test]
fn a_controller_of_another_version_is_named_as_that() {
    let failure = Failure::from_status("recover records", &Status::unimplemented(""));
    assert_eq!(failure.exit, Exit::Failed);
    assert!(failure.causes[0].contains("another version"));
}

#[test]
fn the_causes_of_an_error_become_ours_without_repetition() {
    let error = anyhow::anyhow!("disk full")
        .context("write the store")
        .context("start");
    let failure = Failure::from(error);
    assert_eq!(failure.sentence, "start");
    assert_eq!(failure.causes, ["write the store", "disk full"]);
}
