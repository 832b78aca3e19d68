//! One name for each thread.

use std::collections::HashMap;

use heapsight_capture::model::{CodeKind, StringId, Tables};

/// Puts threads under the name that they were given: `worker-1 (thread 77)` also for what thread 77 did before it was
/// named, as `python3 (native thread 77)`. Ids stay.
///
/// Where the system gave an id to several threads one after the other, what each did before it was named counts for the
/// first of them.
pub fn name_threads(tables: &mut Tables) {
    let is_thread = |kind: CodeKind| kind == CodeKind::Thread;
    if !tables.codes.iter().any(|code| is_thread(code.kind)) {
        return;
    }
    let mut named: HashMap<u64, StringId> = HashMap::new();
    for code in tables.codes.iter().filter(|code| is_thread(code.kind)) {
        if let Some((id, false)) = thread_id(&tables.strings[code.name as usize]) {
            named.entry(id).or_insert(code.name);
        }
    }
    for code in tables.codes.iter_mut().filter(|code| is_thread(code.kind)) {
        let native = thread_id(&tables.strings[code.name as usize]);
        if let Some((id, true)) = native
            && let Some(name) = named.get(&id)
        {
            code.name = *name;
        }
    }
}

/// The id at the end of a thread's name, and whether the thread was not named by anybody.
fn thread_id(name: &str) -> Option<(u64, bool)> {
    let (_, end) = name.strip_suffix(')')?.rsplit_once(" (")?;
    let (digits, is_native) = match end.strip_prefix("native thread ") {
        Some(digits) => (digits, true),
        None => (end.strip_prefix("thread ")?, false),
    };
    Some((digits.parse().ok()?, is_native))
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapsight_capture::model::Code;

    fn named(names: &[&str]) -> Vec<String> {
        let mut tables = Tables::default();
        for (id, name) in (0..).zip(names) {
            tables.strings.push((*name).to_owned());
            tables.codes.push(Code {
                kind: CodeKind::Thread,
                filename: 0,
                name: id,
                first_line: 0,
            });
        }
        name_threads(&mut tables);
        let name = |code: &Code| tables.strings[code.name as usize].clone();
        tables.codes.iter().map(name).collect()
    }

    #[test]
    fn what_a_thread_did_before_it_was_named_is_under_its_name() {
        let names = [
            "python3 (native thread 77)",
            "worker (1) (thread 77)",
            "grpc-poll (native thread 78)",
            "MainThread (thread 70)",
        ];
        assert_eq!(
            named(&names),
            [names[1], names[1], names[2], names[3]].map(str::to_owned)
        );
    }

    #[test]
    fn of_threads_with_one_id_the_first_has_what_came_before_the_names() {
        let names = ["python3 (native thread 7)", "a (thread 7)", "b (thread 7)"];
        assert_eq!(
            named(&names),
            ["a (thread 7)", "a (thread 7)", "b (thread 7)"].map(str::to_owned)
        );
    }

    #[test]
    fn other_names_stay() {
        let names = ["thread 7 (python3)", "", "x", "a (thread x)", "(thread 7)"];
        assert_eq!(named(&names), names.map(str::to_owned));
        name_threads(&mut Tables::default());
    }
}
