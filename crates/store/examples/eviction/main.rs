//! Hit ratios and cost of the cache's eviction policies: `make bench-eviction`.
//!
//! Prints Markdown; with a page as its argument it also replaces what stands there between the markers. Hit ratios are the
//! same on every machine but for the cache's number of shards (by cores) and its seed; times are this machine's.

mod replay;
mod timing;
mod traces;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;
use std::{env, fs, io};

use store::cache::Policy;

use self::traces::{KEYS, REQUESTS, SEED, Trace};

/// What the services use.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BEGIN: &str = "<!-- bench-eviction: begin -->\n";
const END: &str = "<!-- bench-eviction: end -->";

/// Shares of the keys that the cache has room for, in percent.
const SIZES: [usize; 2] = [1, 10];

fn main() -> io::Result<()> {
    let begin = Instant::now();
    let text = format!("{}\n{}", ratios(), costs());
    print!("{text}");
    if let Some(page) = env::args_os().nth(1) {
        publish(Path::new(&page), &text)?;
    }
    eprintln!("took {:.0} s", begin.elapsed().as_secs_f64());
    Ok(())
}

fn ratios() -> String {
    let mut text = format!(
        "Hit ratios of the real cache: {KEYS} keys, {REQUESTS} requests from empty, seed {SEED}; a miss is written at once.\n\n\
         | trace | room | lru | s3fifo | known LRU | known S3-FIFO | known W-TinyLFU |\n|---|---:|---:|---:|---:|---:|---:|\n"
    );
    for trace in Trace::ALL {
        let requests = trace.requests();
        for percent in SIZES {
            _ = write!(text, "| {trace} | {percent} % |");
            for policy in Policy::ALL {
                let ratio = replay::hit_ratio(policy, KEYS * percent / 100, &requests);
                eprintln!("  {trace}, {percent} %, {policy}: {ratio:.3}");
                _ = write!(text, " {ratio:.3} |");
            }
            for known in trace.known(percent) {
                _ = match known {
                    Some(ratio) => write!(text, " {ratio:.3} |"),
                    None => write!(text, " |"),
                };
            }
            text.push('\n');
        }
    }
    text
}

fn costs() -> String {
    let mut text = format!(
        "Nanoseconds per call, one thread, {} entries of 100 bytes, keys at random; fastest of {} rounds.\n\n\
         | policy | get, hit | put of a new key, which evicts |\n|---|---:|---:|\n",
        timing::ENTRIES,
        timing::ROUNDS,
    );
    for policy in Policy::ALL {
        let cost = timing::measure(policy);
        _ = writeln!(text, "| {policy} | {:.0} | {:.0} |", cost.get, cost.put);
    }
    text
}

/// Puts the text between the markers of a page.
fn publish(page: &Path, text: &str) -> io::Result<()> {
    let old = fs::read_to_string(page)?;
    let parts = old.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| io::Error::other(format!("{} has no bench-eviction markers", page.display())))?;
    fs::write(page, [before, BEGIN, text, END, after].concat())?;
    eprintln!("written into {}", page.display());
    Ok(())
}
