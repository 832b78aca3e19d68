//! A pickle machine that can only build data. The opcodes are those of CPython's Lib/pickletools.py.

use std::ops::Range;

/// Why a pickle was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// The bytes end in the middle, or make no sense.
    #[error("not a readable pickle: {reason} at byte {offset}")]
    Malformed {
        /// What is wrong.
        reason: &'static str,
        /// Where.
        offset: usize,
    },
    /// The pickle names something that is not part of a snapshot. Nothing of it was looked up, let alone called.
    #[error("refused: the pickle refers to {0}, which is no part of a tracemalloc snapshot")]
    ForeignName(String),
    /// The pickle asks for an operation that no snapshot needs.
    #[error(
        "refused: the pickle asks for operation {opcode:#04x} at byte {offset}, which no tracemalloc snapshot needs"
    )]
    ForeignOperation {
        /// The opcode.
        opcode: u8,
        /// Where.
        offset: usize,
    },
    /// It holds other data.
    #[error("the pickle is not a tracemalloc snapshot: {0}")]
    NotASnapshot(&'static str),
}

/// A value. What has parts lies in the [`Heap`], so that nothing nests and nothing is dropped recursively.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value {
    /// What no snapshot looks at: None, booleans, floats.
    Other,
    Int(i64),
    /// Index into [`Heap::texts`].
    Text(u32),
    /// Index into [`Heap::tuples`].
    Tuple(u32),
    /// Index into [`Heap::lists`].
    List(u32),
    /// Index into [`Heap::lists`], which has keys and values in turn.
    Dict(u32),
    /// Index into [`Heap::names`] of the allowed classes.
    Class(u32),
    /// Index into [`Heap::objects`].
    Object(u32),
}

/// Everything that a pickle built.
#[derive(Debug, Default)]
pub(super) struct Heap {
    texts: Vec<String>,
    tuples: Vec<Range<u32>>,
    /// The parts of all tuples.
    parts: Vec<Value>,
    lists: Vec<Vec<Value>>,
    objects: Vec<Object>,
    names: Vec<(&'static str, &'static str)>,
}

#[derive(Debug)]
struct Object {
    class: u32,
    state: Option<Value>,
}

impl Heap {
    /// What a tuple or list holds.
    pub(super) fn items(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Tuple(id) => {
                let range = &self.tuples[id as usize];
                Some(&self.parts[range.start as usize..range.end as usize])
            }
            Value::List(id) => Some(&self.lists[id as usize]),
            _ => None,
        }
    }

    pub(super) fn text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Text(id) => Some(&self.texts[id as usize]),
            _ => None,
        }
    }

    /// The entry of a dictionary; the last of equal keys.
    pub(super) fn entry(&self, dict: Value, key: &str) -> Option<Value> {
        let Value::Dict(id) = dict else { return None };
        let pairs = self.lists[id as usize].chunks_exact(2);
        pairs
            .rev()
            .find(|pair| self.text(pair[0]) == Some(key))
            .map(|pair| pair[1])
    }

    /// The attributes of an object of `class`.
    pub(super) fn state(&self, value: Value, class: (&str, &str)) -> Result<Value, PickleError> {
        let wrong = PickleError::NotASnapshot("it holds something else");
        let Value::Object(id) = value else {
            return Err(wrong);
        };
        let object = &self.objects[id as usize];
        if self.names[object.class as usize] != class {
            return Err(wrong);
        }
        object
            .state
            .ok_or(PickleError::NotASnapshot("an object lacks its attributes"))
    }
}

/// Runs the pickle; `names` are the only classes that it may mention. Time and memory are linear in its length.
pub(super) fn parse(
    bytes: &[u8],
    names: &[(&'static str, &'static str)],
) -> Result<(Heap, Value), PickleError> {
    let heap = Heap {
        names: names.to_vec(),
        ..Heap::default()
    };
    let mut machine = Machine {
        bytes,
        at: 0,
        heap,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
    };
    loop {
        if let Some(result) = machine.step()? {
            return Ok((machine.heap, result));
        }
    }
}

struct Machine<'b> {
    bytes: &'b [u8],
    at: usize,
    heap: Heap,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: Vec<Value>,
}

impl<'b> Machine<'b> {
    fn malformed(&self, reason: &'static str) -> PickleError {
        PickleError::Malformed {
            reason,
            offset: self.at,
        }
    }

    /// One operation; the result when it was the last.
    fn step(&mut self) -> Result<Option<Value>, PickleError> {
        let offset = self.at;
        let opcode = self.take(1)?[0];
        match opcode {
            0x80 => self.skip(1)?,                     // PROTO
            0x95 => self.skip(8)?,                     // FRAME
            b'.' => return self.pop().map(Some),       // STOP
            b'(' => self.marks.push(self.stack.len()), // MARK
            b'0' => {
                self.pop()?; // POP
            }
            b'1' => self.pop_to_mark()?, // POP_MARK
            b'N' | 0x88 | 0x89 => self.stack.push(Value::Other), // NONE, NEWTRUE, NEWFALSE
            b'G' => {
                self.skip(8)?; // BINFLOAT
                self.stack.push(Value::Other);
            }
            b'J' => self.integer(4)?, // BININT: the only signed one of fixed length
            b'K' => self.unsigned_integer(1)?, // BININT1
            b'M' => self.unsigned_integer(2)?, // BININT2
            0x8a => {
                let length = self.number(1)?; // LONG1
                self.integer(length)?;
            }
            0x8c => self.text(1)?,  // SHORT_BINUNICODE
            b'X' => self.text(4)?,  // BINUNICODE
            0x8d => self.text(8)?,  // BINUNICODE8
            b')' => self.tuple(0)?, // EMPTY_TUPLE
            0x85..=0x87 => self.tuple(usize::from(opcode - 0x84))?, // TUPLE1, TUPLE2, TUPLE3
            b't' => {
                let mark = self.mark()?; // TUPLE
                self.tuple(self.stack.len() - mark)?;
            }
            b']' => self.new_list(Value::List)?, // EMPTY_LIST
            b'}' => self.new_list(Value::Dict)?, // EMPTY_DICT
            b'a' => self.append(1)?,             // APPEND
            b's' => self.append(2)?,             // SETITEM
            b'e' | b'u' => {
                let mark = self.mark()?; // APPENDS, SETITEMS
                self.append(self.stack.len() - mark)?;
            }
            0x94 => {
                let top = self.top()?; // MEMOIZE
                self.memo.push(top);
            }
            b'q' => self.put(1)?, // BINPUT
            b'r' => self.put(4)?, // LONG_BINPUT
            b'h' => self.get(1)?, // BINGET
            b'j' => self.get(4)?, // LONG_BINGET
            b'c' => {
                let module = self.line()?; // GLOBAL
                let name = self.line()?;
                self.class(&module, &name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?); // STACK_GLOBAL
                let (Some(module), Some(name)) = (self.heap.text(module), self.heap.text(name))
                else {
                    return Err(self.malformed("a name is no text"));
                };
                let (module, name) = (module.to_owned(), name.to_owned());
                self.class(&module, &name)?;
            }
            0x81 => self.new_object()?, // NEWOBJ
            b'b' => self.build()?,      // BUILD
            _ => return Err(PickleError::ForeignOperation { opcode, offset }),
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8], PickleError> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..count) else {
            return Err(self.malformed("it ends too early"));
        };
        self.at += count;
        Ok(taken)
    }

    fn skip(&mut self, count: usize) -> Result<(), PickleError> {
        self.take(count).map(|_| ())
    }

    /// An unsigned little-endian number of so many bytes.
    fn number(&mut self, bytes: usize) -> Result<usize, PickleError> {
        let mut word = [0; 8];
        word[..bytes].copy_from_slice(self.take(bytes)?);
        usize::try_from(u64::from_le_bytes(word)).map_err(|_| self.malformed("a length is absurd"))
    }

    /// A signed little-endian integer of so many bytes.
    fn integer(&mut self, bytes: usize) -> Result<(), PickleError> {
        if bytes > 8 {
            return Err(self.malformed("an integer has more than 64 bits"));
        }
        let digits = self.take(bytes)?;
        let sign = if digits.last().is_some_and(|byte| byte & 0x80 != 0) {
            0xff
        } else {
            0
        };
        let mut word = [sign; 8];
        word[..bytes].copy_from_slice(digits);
        self.stack.push(Value::Int(i64::from_le_bytes(word)));
        Ok(())
    }

    fn unsigned_integer(&mut self, bytes: usize) -> Result<(), PickleError> {
        let value = self.number(bytes)?;
        self.stack.push(Value::Int(value as i64)); // two bytes at most
        Ok(())
    }

    fn text(&mut self, length_bytes: usize) -> Result<(), PickleError> {
        let length = self.number(length_bytes)?;
        // Lone surrogates, as undecodable file names have, are not UTF-8.
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        let id = self.id(self.heap.texts.len())?;
        self.heap.texts.push(text);
        self.stack.push(Value::Text(id));
        Ok(())
    }

    /// The rest of a line.
    fn line(&mut self) -> Result<String, PickleError> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(self.malformed("it ends too early"));
        };
        self.at += length + 1;
        Ok(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    /// A new index of a table that has so many entries.
    fn id(&self, length: usize) -> Result<u32, PickleError> {
        u32::try_from(length).map_err(|_| self.malformed("it holds more than can be numbered"))
    }

    fn mark(&mut self) -> Result<usize, PickleError> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(mark),
            _ => Err(self.malformed("a mark is missing")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<(), PickleError> {
        let mark = self.mark()?;
        self.stack.truncate(mark);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, PickleError> {
        self.stack
            .pop()
            .ok_or_else(|| self.malformed("the stack is empty"))
    }

    fn top(&self) -> Result<Value, PickleError> {
        self.stack
            .last()
            .copied()
            .ok_or_else(|| self.malformed("the stack is empty"))
    }

    fn tuple(&mut self, count: usize) -> Result<(), PickleError> {
        let Some(first) = self.stack.len().checked_sub(count) else {
            return Err(self.malformed("the stack is too low"));
        };
        let start = self.id(self.heap.parts.len())?;
        self.heap.parts.extend(self.stack.drain(first..));
        let end = self.id(self.heap.parts.len())?;
        let id = self.id(self.heap.tuples.len())?;
        self.heap.tuples.push(start..end);
        self.stack.push(Value::Tuple(id));
        Ok(())
    }

    fn new_list(&mut self, value: impl Fn(u32) -> Value) -> Result<(), PickleError> {
        let id = self.id(self.heap.lists.len())?;
        self.heap.lists.push(Vec::new());
        self.stack.push(value(id));
        Ok(())
    }

    /// Moves the top `count` values into the list or dictionary below them.
    fn append(&mut self, count: usize) -> Result<(), PickleError> {
        let place = self
            .stack
            .len()
            .checked_sub(count + 1)
            .map(|at| (at, self.stack[at]));
        let Some((at, Value::List(id) | Value::Dict(id))) = place else {
            return Err(self.malformed("no list or dictionary to fill"));
        };
        self.heap.lists[id as usize].extend(self.stack.drain(at + 1..));
        Ok(())
    }

    /// Remembers the top. Every pickler numbers in order.
    fn put(&mut self, bytes: usize) -> Result<(), PickleError> {
        let (index, top) = (self.number(bytes)?, self.top()?);
        match index.cmp(&self.memo.len()) {
            std::cmp::Ordering::Less => self.memo[index] = top,
            std::cmp::Ordering::Equal => self.memo.push(top),
            std::cmp::Ordering::Greater => {
                return Err(self.malformed("remembered values are out of order"));
            }
        }
        Ok(())
    }

    fn get(&mut self, bytes: usize) -> Result<(), PickleError> {
        let index = self.number(bytes)?;
        let Some(value) = self.memo.get(index) else {
            return Err(self.malformed("nothing was remembered there"));
        };
        self.stack.push(*value);
        Ok(())
    }

    fn class(&mut self, module: &str, name: &str) -> Result<(), PickleError> {
        let known = (0..)
            .zip(&self.heap.names)
            .find(|(_, known)| **known == (module, name));
        let Some((id, _)) = known else {
            return Err(PickleError::ForeignName(
                format!("{module:.100}.{name:.100}")
                    .escape_debug()
                    .to_string(),
            ));
        };
        self.stack.push(Value::Class(id));
        Ok(())
    }

    /// An object of a class, made from an empty tuple.
    fn new_object(&mut self) -> Result<(), PickleError> {
        let (arguments, class) = (self.pop()?, self.pop()?);
        let Value::Class(class) = class else {
            return Err(self.malformed("an object has no class"));
        };
        if self.heap.items(arguments) != Some(&[]) {
            return Err(self.malformed("an object is made from something"));
        }
        let id = self.id(self.heap.objects.len())?;
        self.heap.objects.push(Object { class, state: None });
        self.stack.push(Value::Object(id));
        Ok(())
    }

    fn build(&mut self) -> Result<(), PickleError> {
        let state = self.pop()?;
        let Value::Object(id) = self.top()? else {
            return Err(self.malformed("attributes of no object"));
        };
        self.heap.objects[id as usize].state = Some(state);
        Ok(())
    }
}
