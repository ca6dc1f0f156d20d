//! The table: one file for each group of cases, all of them functions that return data.
//!
//! The facts of a case (numbers, frames, sizes, codes) are those of Autobahn 0.8.2. Where the bytes of
//! a payload do not matter, they are ours.

mod group1;
mod group10;
mod group2;
mod group3;
mod group4;
mod group5;
mod group6;
mod group7;
mod group9;

use crate::{Case, Cut, Number};

/// All cases, in the order of their numbers. They are made anew for each call, which is cheap: large
/// messages are described, not stored.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(group1::cases());
    cases.extend(group2::cases());
    cases.extend(group3::cases());
    cases.extend(group4::cases());
    cases.extend(group5::cases());
    cases.extend(group6::cases());
    cases.extend(group7::cases());
    cases.extend(group9::cases());
    cases.extend(group10::cases());
    cases
}

/// The case with this number, if the text is the number of a case.
pub fn find(number: &str) -> Option<Case> {
    let number: Number = number.parse().ok()?;
    cases().into_iter().find(|case| case.number == number)
}

/// The payload of messages whose text does not matter.
const GREETING: &str = "Hello, Sotong";

/// How many groups write the same frames three times: in one write, in a write each, byte by byte.
const CUTS: [(Cut, &str); 3] =
    [(Cut::Joined, "in one write"), (Cut::Alone, "in a write each"), (Cut::Every(1), "byte by byte")];

/// The items of a list with the last part of their case numbers, from 1.
fn numbered<T>(items: impl IntoIterator<Item = T>) -> impl Iterator<Item = (u8, T)> {
    (1..).zip(items)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::{End, Group, Step};

    #[test]
    fn the_table_has_as_many_cases_as_autobahn_plays() {
        let mut counts = BTreeMap::new();
        for case in cases() {
            *counts.entry(case.group()).or_insert(0) += 1;
        }
        let expected = [
            (Group::Messages, 16),
            (Group::Pings, 11),
            (Group::ReservedBits, 7),
            (Group::ReservedOpcodes, 10),
            (Group::Fragments, 20),
            (Group::Utf8, 145),
            (Group::Closing, 37),
            (Group::Limits, 54),
            (Group::OddFragments, 1),
        ];
        assert_eq!(counts, BTreeMap::from(expected));
        assert_eq!(cases().len(), 301);
    }

    #[test]
    fn the_parts_have_as_many_cases_as_in_autobahn() {
        let mut counts = BTreeMap::<String, usize>::new();
        for case in cases() {
            let number = case.number.to_string();
            let part = match number.rmatch_indices('.').next() {
                Some((dot, _)) if number.matches('.').count() == 2 => &number[..dot],
                _ => continue,
            };
            *counts.entry(part.to_owned()).or_default() += 1;
        }
        let expected = "1.1:8 1.2:8 4.1:5 4.2:5 6.1:3 6.2:4 6.3:2 6.4:4 6.5:5 6.6:11 6.7:4 6.8:2 6.9:4 6.10:3 \
            6.11:5 6.12:8 6.13:5 6.14:10 6.15:1 6.16:3 6.17:5 6.18:5 6.19:5 6.20:7 6.21:8 6.22:34 6.23:7 \
            7.1:6 7.3:6 7.5:1 7.7:13 7.9:9 7.13:2 9.1:6 9.2:6 9.3:9 9.4:9 9.5:6 9.6:6 9.7:6 9.8:6 10.1:1";
        let expected = expected.split_whitespace().filter_map(|part| part.split_once(':'));
        let expected = expected.map(|(part, count)| (part.to_owned(), count.parse().expect("a count")));
        assert_eq!(counts, expected.collect());
    }

    #[test]
    fn numbers_rise_and_no_two_are_the_same() {
        let numbers: Vec<Number> = cases().iter().map(|case| case.number).collect();
        assert!(numbers.is_sorted());
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len());
    }

    #[test]
    fn every_case_has_a_title_a_script_and_an_expectation() {
        for case in cases() {
            assert!(!case.title.is_empty(), "{}", case.number);
            assert!(!case.script.is_empty(), "{}", case.number);
            let is_judged = case.expect.end != End::Open;
            assert_eq!(is_judged, !case.expect.outcomes.is_empty(), "{}", case.number);
            assert!(
                case.expect.outcomes.first().is_none_or(|best| best.is_strict()),
                "{}: the best outcome comes first",
                case.number
            );
        }
    }

    #[test]
    fn cases_are_found_by_their_numbers() {
        assert_eq!(find("6.4.3").map(|case| case.number), Some(Number::from((6, 4, 3))));
        for nothing in ["6.4", "6.4.5", "12.1.1", "six"] {
            assert!(find(nothing).is_none(), "{nothing}");
        }
    }

    #[test]
    fn pieces_are_never_empty() {
        for case in cases() {
            for step in &case.script {
                match step {
                    Step::Frame(frame) => assert_ne!(frame.cut, Cut::Every(0), "{}", case.number),
                    Step::Message { fragment, .. } => assert_ne!(*fragment, 0, "{}", case.number),
                    Step::Exchange { times, .. } => assert_ne!(*times, 0, "{}", case.number),
                    Step::Answer | Step::Pause | Step::Checkpoint => {}
                }
            }
        }
    }
}
