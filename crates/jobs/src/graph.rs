//! Checks of a planned graph. A planner with a bug must fail its job, never the scheduler.

use api::task::StageGraph;

/// Why a graph cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidGraph {
    /// No stage, so no result.
    #[error("the plan has no stages")]
    Empty,
    /// A stage without tasks.
    #[error("stage {0} has no partitions")]
    NoPartitions(u32),
    /// Stages must stand after what they read.
    #[error("stage {stage} reads stage {input}, which does not stand before it")]
    Order {
        /// The reader.
        stage: u32,
        /// What it reads.
        input: u32,
    },
    /// Work that contributes nothing.
    #[error("nothing reads stage {0}, and it is not the last")]
    Unread(u32),
    /// Over the bound.
    #[error("the plan has {tasks} tasks; at most {limit} are allowed: read fewer or larger files")]
    TooLarge {
        /// Tasks in the plan.
        tasks: u64,
        /// Most allowed.
        limit: u32,
    },
}

/// For each stage the stages that read it.
pub(crate) fn consumers(graph: &StageGraph, max_tasks: u32) -> Result<Vec<Vec<usize>>, InvalidGraph> {
    let mut readers = vec![Vec::new(); graph.stages.len()];
    let mut tasks = 0_u64;
    for (index, stage) in graph.stages.iter().enumerate() {
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        if stage.partitions == 0 {
            return Err(InvalidGraph::NoPartitions(number));
        }
        tasks += u64::from(stage.partitions);
        for &input in &stage.inputs {
            if input >= number {
                return Err(InvalidGraph::Order { stage: number, input });
            }
            readers[input as usize].push(index);
        }
    }
    if tasks > u64::from(max_tasks) {
        return Err(InvalidGraph::TooLarge { tasks, limit: max_tasks });
    }
    let inner = readers.len().checked_sub(1).ok_or(InvalidGraph::Empty)?;
    match readers[..inner].iter().position(Vec::is_empty) {
        Some(unread) => Err(InvalidGraph::Unread(u32::try_from(unread).unwrap_or(u32::MAX))),
        None => Ok(readers),
    }
}

/// The graph as people read it.
#[must_use]
pub fn text(graph: &StageGraph) -> String {
    let mut out = String::new();
    for (number, stage) in graph.stages.iter().enumerate() {
        let reads = match stage.inputs.as_slice() {
            [] => String::new(),
            inputs => format!(
                ", reads {}",
                inputs.iter().map(|i| format!("stage {i}")).collect::<Vec<_>>().join(", ")
            ),
        };
        let note = if stage.deterministic { "" } else { ", not deterministic" };
        out.push_str(&format!(
            "stage {number}: {} tasks x {} outputs{reads}{note}\n{}\n\n",
            stage.partitions,
            stage.output_partitions,
            stage.display.trim_end()
        ));
    }
    out
}

/// The graph in the language of Graphviz.
#[must_use]
pub fn dot(graph: &StageGraph) -> String {
    let mut out = "digraph job {\n  rankdir=BT;\n  node [shape=box, fontname=monospace];\n".to_owned();
    for (number, stage) in graph.stages.iter().enumerate() {
        let plan = stage.display.trim_end().lines().map(escaped).collect::<Vec<_>>().join("\\l");
        let note = if stage.deterministic { "" } else { ", not deterministic" };
        out.push_str(&format!(
            "  s{number} [label=\"stage {number}: {} tasks{note}\\l{plan}\\l\"];\n",
            stage.partitions
        ));
        for input in &stage.inputs {
            let outputs = graph.stages.get(*input as usize).map_or(0, |stage| stage.output_partitions);
            out.push_str(&format!("  s{input} -> s{number} [label=\"{outputs}\"];\n"));
        }
    }
    out.push_str("}\n");
    out
}

fn escaped(line: &str) -> String {
    line.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use api::task::{Stage, StageGraph};

    use super::{InvalidGraph, consumers};

    fn graph(stages: &[(u32, &[u32])]) -> StageGraph {
        let stage = |&(partitions, inputs): &(u32, &[u32])| Stage {
            plan: bytes::Bytes::new(),
            partitions,
            output_partitions: 1,
            inputs: inputs.to_vec(),
            deterministic: true,
            display: String::new(),
            blobs: Vec::new(),
        };
        StageGraph {
            stages: stages.iter().map(stage).collect(),
            columns: Vec::new(),
            output: None,
        }
    }

    #[test]
    fn consumers_are_the_inverse_of_inputs() {
        let diamond = graph(&[(2, &[]), (2, &[0]), (2, &[0]), (1, &[1, 2])]);
        assert_eq!(consumers(&diamond, 10), Ok(vec![vec![1, 2], vec![3], vec![3], vec![]]));
    }

    #[test]
    fn dot_has_a_box_for_each_stage_and_an_arrow_for_each_input() {
        let mut two = graph(&[(2, &[]), (1, &[0])]);
        two.stages[0].display = "Scan \"t\"\n  x\\y".to_owned();
        let dot = super::dot(&two);
        assert!(
            dot.contains(r#"s0 [label="stage 0: 2 tasks\lScan \"t\"\l  x\\y\l"];"#),
            "{dot}"
        );
        assert!(dot.contains("s0 -> s1 [label=\"1\"];"), "{dot}");
    }

    #[test]
    fn graphs_that_cannot_run_are_refused() {
        assert_eq!(consumers(&graph(&[]), 10), Err(InvalidGraph::Empty));
        assert_eq!(consumers(&graph(&[(0, &[])]), 10), Err(InvalidGraph::NoPartitions(0)));
        assert_eq!(
            consumers(&graph(&[(1, &[0])]), 10),
            Err(InvalidGraph::Order { stage: 0, input: 0 })
        );
        assert_eq!(
            consumers(&graph(&[(1, &[]), (1, &[7])]), 10),
            Err(InvalidGraph::Order { stage: 1, input: 7 })
        );
        assert_eq!(consumers(&graph(&[(1, &[]), (1, &[])]), 10), Err(InvalidGraph::Unread(0)));
        assert_eq!(
            consumers(&graph(&[(8, &[]), (3, &[0])]), 10),
            Err(InvalidGraph::TooLarge { tasks: 11, limit: 10 })
        );
    }
}
