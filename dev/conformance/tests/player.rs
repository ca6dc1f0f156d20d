//! The player can tell a peer that keeps the protocol from one that does not: an echo of our own plays
//! the table, once as it should, and once with each bad habit.

mod echo;

use echo::{Echo, Habit};
use sotong_conformance::{Case, Group, Subject, Verdict, cases, play};

const SUBJECTS: [Subject; 2] = [Subject::Server, Subject::Client];

/// The numbers of the cases that failed and of those that went not strictly.
#[derive(Debug, PartialEq, Eq)]
struct Marks {
    failed: Vec<String>,
    not_strict: Vec<String>,
}

fn marks_of(cases: &[Case], subject: Subject, habit: Habit) -> Marks {
    let mut marks = Marks { failed: Vec::new(), not_strict: Vec::new() };
    for case in cases {
        let number = case.number.to_string();
        match play(case, subject, &mut Echo::new(subject, habit)) {
            Verdict::Ok => assert!(!INFORMATIONAL.contains(&number.as_str()), "{number}"),
            Verdict::Informational(_) => assert!(INFORMATIONAL.contains(&number.as_str()), "{number}"),
            Verdict::NonStrict(_) => marks.not_strict.push(number),
            Verdict::Failed(_) => marks.failed.push(number),
        }
    }
    marks
}

const INFORMATIONAL: [&str; 3] = ["7.1.6", "7.13.1", "7.13.2"];

/// All but the large ones.
fn small_cases() -> Vec<Case> {
    cases().into_iter().filter(|case| case.group() != Group::Limits).collect()
}

/// Plays all but the large cases on both sides. Failed and not strict are lists of numbers, or of
/// starts of numbers with a star.
#[track_caller]
fn expect(habit: Habit, failed: &str, not_strict: &str) {
    for subject in SUBJECTS {
        expect_of(subject, habit, failed, not_strict);
    }
}

#[track_caller]
fn expect_of(subject: Subject, habit: Habit, failed: &str, not_strict: &str) {
    let all = small_cases();
    let numbers = |wanted: &str| -> Vec<String> {
        let within = |case: &&Case| wanted.split_whitespace().any(|wanted| case.number.is_within(wanted));
        let judged = |number: &String| !INFORMATIONAL.contains(&number.as_str());
        all.iter().filter(within).map(|case| case.number.to_string()).filter(judged).collect()
    };
    let expected = Marks { failed: numbers(failed), not_strict: numbers(not_strict) };
    assert_eq!(marks_of(&all, subject, habit), expected, "{subject:?} {habit:?}");
}

#[test]
fn a_peer_that_keeps_the_protocol_passes_every_case() {
    for subject in SUBJECTS {
        let nothing = Marks { failed: Vec::new(), not_strict: Vec::new() };
        assert_eq!(marks_of(&cases(), subject, Habit::Right), nothing, "{subject:?}");
    }
}

#[test]
fn dropping_the_connection_of_one_who_breaks_the_protocol_is_allowed() {
    expect(Habit::DropsOnViolation, "", "");
}

#[test]
fn answering_in_fragments_is_allowed() {
    expect(Habit::AnswersInFragments, "", "");
}

#[test]
fn pings_of_the_peer_are_answered_and_not_counted() {
    expect(Habit::PingsFirst, "", "");
}

#[test]
fn reserved_bits_that_are_ignored_are_found() {
    // 3.7 is a close frame without a code, and a reply without one is accepted everywhere. Autobahn sees
    // no more.
    expect(Habit::IgnoresReservedBits, "3.1 3.2 3.3 3.4 3.5 3.6", "");
}

#[test]
fn reserved_opcodes_that_are_skipped_are_found() {
    expect(Habit::SkipsReservedOpcodes, "4.1.* 4.2.*", "");
}

#[test]
fn a_close_code_that_nobody_may_send_and_is_accepted_is_found() {
    expect(Habit::AcceptsAnyCloseCode, "7.3.2 7.9.*", "");
}

#[test]
fn a_broken_close_frame_that_is_ignored_is_found() {
    expect(Habit::IgnoresBrokenClose, "7.3.2 7.9.*", "");
}

#[test]
fn text_that_is_checked_at_the_end_of_messages_is_not_strict() {
    expect(Habit::ChecksUtf8AtTheEndOfMessages, "", "6.4.*");
}

#[test]
fn text_that_is_checked_at_the_end_of_frames_is_not_strict_within_frames() {
    expect(Habit::ChecksUtf8AtTheEndOfFrames, "", "6.4.3 6.4.4");
}

#[test]
fn text_that_is_not_checked_is_found() {
    let broken = "6.3.* 6.4.* 6.6.1 6.6.3 6.6.4 6.6.6 6.6.8 6.6.10 6.8.* 6.10.* 6.11.5 6.12.* 6.13.* 6.14.* \
        6.15.* 6.16.* 6.17.* 6.18.* 6.19.* 6.20.* 6.21.*";
    expect(Habit::AcceptsAnyText, broken, "");
}

#[test]
fn fragments_that_are_echoed_one_by_one_are_found() {
    // The text of 6.2.3 and 6.2.4 is cut within characters; 6.4.* fail where they fail anyway, but
    // have an answer too many before.
    let fragmented = "5.3 5.4 5.5 5.6 5.7 5.8 5.15 5.18 5.19 5.20 6.1.2 6.1.3 6.2.2 6.2.3 6.2.4 6.3.2 6.4.1 6.4.2 \
        7.1.5 10.1.1";
    expect(Habit::EchoesEachFragment, fragmented, "");
}

#[test]
fn good_frames_before_a_bad_one_in_the_same_read_are_missed_without_being_strict() {
    expect(Habit::AnswersAfterTheWholeRead, "", "3.2 4.1.3 4.1.4 4.2.3 4.2.4 5.15");
}

#[test]
fn an_answer_after_the_close_frame_is_found() {
    // In each of these a frame comes after the close frame in the same write.
    expect(Habit::AnswersPingsAfterClose, "7.1.2 7.1.3 7.1.4 7.1.5", "");
}

#[test]
fn pings_that_are_left_out_are_found() {
    // Byte by byte each ping comes alone.
    expect(Habit::AnswersTheLastPingOnly, "2.10", "");
}

#[test]
fn answers_to_pongs_are_found() {
    expect(Habit::AnswersPongs, "2.7 2.8 2.9", "");
}

#[test]
fn another_kind_of_message_is_found() {
    let text = "1.1.* 3.2 3.3 3.4 4.1.3 4.1.4 4.1.5 4.2.3 4.2.4 4.2.5 5.3 5.4 5.5 5.6 5.7 5.8 5.15 5.19 5.20 6.1.* \
        6.2.* 6.5.* 6.6.2 6.6.5 6.6.7 6.6.9 6.6.11 6.7.* 6.9.* 6.11.1 6.11.2 6.11.3 6.11.4 6.22.* 6.23.* 7.1.1 10.1.1";
    expect(Habit::EchoesTextAsBinary, text, "");
}

#[test]
fn a_byte_that_changes_in_a_large_message_is_found() {
    let large: Vec<Case> = cases().into_iter().filter(|case| case.number.is_within("9.1")).collect();
    for subject in SUBJECTS {
        let marks = marks_of(&large, subject, Habit::ChangesLargeMessages);
        assert_eq!(marks.failed, ["9.1.2", "9.1.3", "9.1.4", "9.1.5", "9.1.6"], "{subject:?}");
    }
}

#[test]
fn a_code_that_does_not_fit_is_not_strict_where_the_peer_fails_and_wrong_where_it_replies() {
    let fails = "2.5 3.* 4.* 5.1 5.2 5.9 5.10 5.11 5.12 5.13 5.14 5.15 5.16 5.17 5.18 6.3.* 6.4.* 6.6.1 6.6.3 6.6.4 \
        6.6.6 6.6.8 6.6.10 6.8.* 6.10.* 6.11.5 6.12.* 6.13.* 6.14.* 6.15.* 6.16.* 6.17.* 6.18.* 6.19.* 6.20.* 6.21.*";
    expect(Habit::FailsWithCode1001, "7.3.2 7.3.6 7.5.1 7.9.*", fails);
}

#[test]
fn a_close_frame_without_a_reply_is_found() {
    // All cases that the player ends; the others do not get so far.
    let ended_by_player = "1.* 2.1 2.2 2.3 2.4 2.6 2.7 2.8 2.9 2.10 2.11 5.3 5.4 5.5 5.6 5.7 5.8 5.19 5.20 6.1.* 6.2.* \
        6.5.* 6.6.2 6.6.5 6.6.7 6.6.9 6.6.11 6.7.* 6.9.* 6.11.1 6.11.2 6.11.3 6.11.4 6.22.* 6.23.* 7.1.* 7.3.1 7.3.3 \
        7.3.4 7.3.5 7.7.* 10.1.1";
    expect(Habit::ClosesWithoutReply, ended_by_player, "");
}

#[test]
fn a_server_that_leaves_the_connection_open_is_found() {
    let clean = "1.* 2.1 2.2 2.3 2.4 2.6 2.7 2.8 2.9 2.10 2.11 5.3 5.4 5.5 5.6 5.7 5.8 5.19 5.20 6.1.* 6.2.* 6.5.* \
        6.6.2 6.6.5 6.6.7 6.6.9 6.6.11 6.7.* 6.9.* 6.11.1 6.11.2 6.11.3 6.11.4 6.22.* 6.23.* 7.1.* 7.3.1 7.3.3 7.3.4 \
        7.3.5 7.7.* 10.1.1";
    let failed = "2.5 3.* 4.* 5.1 5.2 5.9 5.10 5.11 5.12 5.13 5.14 5.15 5.16 5.17 5.18 6.3.* 6.4.* 6.6.1 6.6.3 6.6.4 \
        6.6.6 6.6.8 6.6.10 6.8.* 6.10.* 6.11.5 6.12.* 6.13.* 6.14.* 6.15.* 6.16.* 6.17.* 6.18.* 6.19.* 6.20.* 6.21.* \
        7.3.2 7.3.6 7.5.1 7.9.*";
    expect_of(Subject::Server, Habit::LeavesTheConnectionOpen, clean, failed);
    // A client may leave it to the server.
    expect_of(Subject::Client, Habit::LeavesTheConnectionOpen, "", "");
}

#[test]
fn a_frame_after_the_close_frame_is_found() {
    for subject in SUBJECTS {
        let marks = marks_of(&small_cases(), subject, Habit::SpeaksAfterClose);
        assert!(marks.failed.contains(&"7.3.3".to_owned()), "{subject:?}: {marks:?}");
        assert!(!marks.failed.contains(&"3.1".to_owned()), "{subject:?}: {marks:?}");
    }
}

#[test]
fn frames_that_are_masked_on_the_wrong_side_are_found() {
    expect(Habit::MasksOnTheWrongSide, "*", "");
}

#[test]
fn a_peer_that_says_nothing_fails_what_wants_an_answer() {
    for subject in SUBJECTS {
        let marks = marks_of(&small_cases(), subject, Habit::Mute);
        for number in ["1.1.1", "2.1", "5.3", "6.1.1", "7.1.2", "7.7.1", "10.1.1"] {
            assert!(marks.failed.contains(&number.to_owned()), "{subject:?}: {number}");
        }
    }
}
