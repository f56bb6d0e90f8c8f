//! Whole runs under seeded faults: workers that die, stall and lose files; orders, reports and answers that are lost, late or
//! repeated; leaders that change at any moment and know only what was durable; tasks that do not fit into memory. Some minutes of
//! faults, then calm; whatever happened, the promises of the crate's first page must hold.

mod checks;
mod random;
mod world;

use world::World;

#[test]
fn promises_hold_under_faults() {
    let mut succeeded = 0;
    let mut ended = 0;
    let (mut leaders, mut twins) = (0, 0);
    for seed in 0..1_000 {
        let mut world = World::new(seed);
        world.run();
        succeeded += world.succeeded();
        ended += world.ended();
        leaders += world.leaders;
        twins += world.twins;
    }
    println!("{succeeded} of {ended} jobs succeeded under {leaders} leaders, with {twins} twins");
    assert!(
        leaders > 1_500 && twins > 50,
        "{leaders} leaders, {twins} twins: too few to show anything"
    );
    assert!(
        succeeded * 2 > ended,
        "most jobs survive: {succeeded} of {ended}, or this test shows little"
    );
}
