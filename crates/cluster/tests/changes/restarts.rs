//! Everybody, or all holders of some keys, are gone.

use cluster::change::Cause;

use crate::stage::{Stage, id, obey};

#[test]
fn after_a_restart_of_everything_all_are_waited_for_or_long_enough() {
    for comes_back in [true, false] {
        let mut stage = Stage::of(&["a", "b", "c"], 2);
        ["a", "b", "c"].iter().for_each(|name| stage.kill(name));
        stage.look_until_quiet();
        stage.restart("a");
        stage.restart("b");
        assert_eq!(stage.look(2), None, "c may come back");
        stage.node("c").registered = false;
        assert_eq!(stage.look(2), None, "c may still come back");
        if comes_back {
            stage.restart("c");
        } else {
            stage.leader.patience_over = true;
        }
        assert_eq!(stage.look(1).map(|step| step.cause), Some(Cause::Restart));
        let wanted = if comes_back { vec!["a", "b", "c"] } else { vec!["a", "b"] };
        assert_eq!((stage.members(), stage.lost()), (wanted.clone(), vec!["a", "b", "c"]));
        stage.calm();
        assert_eq!(stage.members(), wanted);
    }
}

#[test]
fn keys_without_holders_wait_for_those_who_had_them() {
    for comes_back in [true, false] {
        let mut stage = Stage::of(&["a", "b", "c"], 1);
        stage.kill("b");
        stage.look(2).expect("a death");
        obey(&mut stage.world);
        assert_eq!(stage.look(1), None, "all are synced, but b may come back with its backup");
        if comes_back {
            stage.restart("b");
            assert_eq!(stage.look(1).map(|step| step.cause), Some(Cause::Returned(vec![id("b")])));
            obey(&mut stage.world);
        } else {
            stage.leader.patience_over = true;
        }
        assert_eq!(stage.look(1).map(|step| step.cause), Some(Cause::Synced));
    }
}
