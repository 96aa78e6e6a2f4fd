//! The reader and the judge behind `make instructions`: that bench has no test harness of its own.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the bench uses the rest")]

#[path = "../benches/instructions/callgrind.rs"]
mod callgrind;
#[path = "../benches/instructions/record.rs"]
mod record;

use callgrind::Profile;
use record::{Environment, Record, Verdict};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[test]
fn own_instructions_are_told_from_those_of_callees() {
    let text = "\
# callgrind format
version: 1
events: Ir
ob=(1) /x/instructions
fl=(1) /x/hub.rs
fn=(1) hub::send
10 100
+3 20
cfi=(2) /x/peer.rs
cfn=(2) peer::write
calls=5 +1
* 700
-1 3
fn=(2)
20 600
cfn=(3) aws_lc_0_1_seal
calls=1 7
20 100

fn=(3)
7 100

totals: 823
summary: 823
";
    let profile = Profile::parse(text).unwrap();
    let largest: Vec<_> = profile.largest().collect();
    assert_eq!(largest, [("peer::write", 600), ("hub::send", 123), ("aws_lc_0_1_seal", 100)]);
    assert_eq!(profile.total(), 823);
    assert_eq!(profile.without_crypto(), 723);
}

#[test]
fn what_is_not_callgrinds_is_refused() {
    assert_eq!(Profile::parse("fn=(7)\n1 2\n"), Err("function (7) has no name".to_owned()));
    assert!(Profile::parse("fn=(1) a\n1 two\n").is_err());
    assert_eq!(Profile::parse("").unwrap().total(), 0);
}

fn record(instructions: f64) -> Record {
    let environment = Environment {
        rustc: "rustc 1".to_owned(),
        libc: "glibc 2".to_owned(),
        valgrind: "valgrind 3".to_owned(),
        target: "x86_64-linux".to_owned(),
    };
    Record { instructions_per_viewer_interval: instructions, environment }
}

#[test]
fn the_band_is_held_on_both_sides_and_only_where_it_can_be() {
    let kept = record(1_000.0);
    for (instructions, within) in [(1_029.0, true), (971.0, true), (1_031.0, false), (969.0, false)]
    {
        let verdict = kept.judge(&record(instructions), 0.03);
        assert_eq!(matches!(verdict, Verdict::Within { .. }), within, "{verdict}");
        assert_eq!(matches!(verdict, Verdict::Outside { .. }), !within, "{verdict}");
    }
    let mut elsewhere = record(2_000.0);
    elsewhere.environment.rustc = "rustc 2".to_owned();
    let verdict = kept.judge(&elsewhere, 0.03);
    assert!(matches!(verdict, Verdict::NotComparable { .. }), "{verdict}");
    assert!(verdict.to_string().contains("rustc 1 then, rustc 2 here"), "{verdict}");
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.json");
    assert!(Record::read(&path).is_err());
    let record = record(107_130.25);
    record.write(&path).unwrap();
    assert_eq!(Record::read(&path).unwrap(), record);
}
