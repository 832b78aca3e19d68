//! The attribute `or_memory_error`, for functions that Python calls.
//!
//! It is used by the binding only, which has what it expands to (`memory_error` there). It works on tokens, without a
//! parser: these functions all have the form `fn name(...) -> Type { ... }`.

#![forbid(unsafe_code)]

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Makes the function raise `MemoryError` where it would panic for want of memory for a Python object, in its body or
/// in making an object of what it returns, and makes exceptions before it returns.
///
/// What can be returned without a new object (`Self`, `bool`, nothing) stays what it is; anything else becomes an
/// object here, since nothing could catch a failure later.
///
/// # Panics
/// At compile time, when the function returns nothing: then it cannot fail either.
#[proc_macro_attribute]
pub fn or_memory_error(_arguments: TokenStream, function: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = function.into_iter().collect();
    let arrow = tokens
        .windows(2)
        .position(|pair| is(&pair[0], "-") && is(&pair[1], ">"))
        .expect("a function that returns something");
    let (body, start) = tokens.split_last().expect("a function with a body");
    assert!(
        matches!(body, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace),
        "a function with a body"
    );
    let head: TokenStream = start[..arrow].iter().cloned().collect();
    let returned: TokenStream = start[arrow + 2..].iter().cloned().collect();
    let spelled = returned.to_string().replace(' ', "");
    let kept = ["PyResult<Self>", "PyResult<bool>", "PyResult<()>"].contains(&spelled.as_str());
    let (given, wrapper) = if kept {
        (returned.clone(), "attempt")
    } else if spelled.starts_with("PyResult<") {
        (parsed("crate::memory_error::Made"), "make")
    } else {
        (parsed("crate::memory_error::Made"), "make_plain")
    };
    let mut closure = parsed("move || ->");
    closure.extend([returned, body.clone().into()]);
    let mut wrapped = parsed(&format!("crate::memory_error::{wrapper}"));
    wrapped.extend([TokenTree::from(Group::new(Delimiter::Parenthesis, closure))]);

    let mut function = head;
    function.extend([parsed("->"), given]);
    function.extend([TokenTree::from(Group::new(Delimiter::Brace, wrapped))]);
    function
}

fn parsed(text: &str) -> TokenStream {
    text.parse().expect("tokens of Rust")
}

fn is(token: &TokenTree, text: &str) -> bool {
    token.to_string() == text
}
