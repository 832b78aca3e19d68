//! A small recording for tests, and screens as text.

use heapsight_analysis::recording::Reached;
use heapsight_analysis::{EventLog, NO_CALLER};
use heapsight_capture::model::Domain;
use heapsight_capture::{Capture, Header, Writer};
use heapsight_report::Look;
use ratatui_core::backend::TestBackend;
use ratatui_core::buffer::Buffer;
use ratatui_core::terminal::Terminal;

use crate::state::tree::Opened;

const SECOND: u64 = 1_000_000_000;

/// A recording of ten ticks, one a second, as bytes of a file. `name` is that of one of the functions and files.
pub(crate) fn recording(name: &str) -> Vec<u8> {
    let header = Header {
        program: "shop.py".into(),
        python_version: "3.13.1".into(),
        working_directory: "/srv/shop".into(),
        tick_ms: 1000,
        ..Header::default()
    };
    let mut file = Vec::new();
    let mut log = EventLog::new(Writer::create(&mut file, &header).expect("a Vec"));
    let mut call = |caller, function: &str, filename: &str, line| {
        let code = log.code(function, filename, 1);
        log.call(caller, code, line)
    };
    let shop = "/srv/shop/shop.py";
    let module = call(NO_CALLER, "<module>", shop, 90);
    let main = call(module, "main", shop, 71);
    let load = call(main, "Store.load", "/srv/shop/store.py", 12);
    let parse = call(load, "loads", "/usr/lib/python3.13/json/__init__.py", 346);
    let mut walk = call(main, "walk", shop, 40);
    for _ in 0..8 {
        walk = call(walk, "walk", shop, 41);
    }
    let named = call(main, name, &format!("/srv/shop/{name}.py"), 7);
    let import = call(
        module,
        "_find_and_load",
        "<frozen importlib._bootstrap>",
        1360,
    );
    let sites =
        [parse, walk, named, import, load, NO_CALLER].map(|path| log.site(path, Domain::OBJ));
    for second in 1..=10_u64 {
        for (index, site) in (0..).zip(sites) {
            let address = 0x10_0000 * (64 * index + second);
            log.allocate(address, (10_000 + 1000 * second) * (index + 1), site);
            if index == 0 && second > 4 {
                log.free(address - 0x40_0000);
            }
        }
        let resident = 30_000_000 + 100_000 * second;
        log.tick(second * SECOND, resident).expect("a Vec");
    }
    log.finish(10 * SECOND).expect("a Vec");
    file
}

/// The recording at its end.
pub(crate) fn opened(name: &str) -> Opened {
    Opened {
        capture: Capture::read(&recording(name)[..]).expect("readable"),
        moment: Reached::End,
    }
}

/// A look as on a terminal without colours.
pub(crate) fn look(unicode: bool) -> Look {
    Look {
        unicode,
        ..Look::plain(80)
    }
}

/// A screen of this size as text, line by line, without spaces at the ends.
pub(crate) fn screen(columns: u16, rows: u16, draw: impl FnOnce(&mut Buffer)) -> String {
    let buffer = cells(columns, rows, draw);
    let mut out = String::new();
    for line in buffer.content().chunks(usize::from(columns)) {
        let mut text = String::new();
        let mut skipped = 0;
        for cell in line {
            if skipped > 0 {
                skipped -= 1;
                continue;
            }
            text += cell.symbol();
            skipped = heapsight_report::width(cell.symbol()).saturating_sub(1);
        }
        out += text.trim_end();
        out.push('\n');
    }
    out
}

/// Likewise as cells.
pub(crate) fn cells(columns: u16, rows: u16, draw: impl FnOnce(&mut Buffer)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("no terminal at all");
    terminal
        .draw(|frame| draw(frame.buffer_mut()))
        .expect("no terminal at all");
    terminal.backend().buffer().clone()
}
