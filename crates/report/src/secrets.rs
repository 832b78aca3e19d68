//! Lines of source that look like secrets: they do not go into files that people send to one another.
//!
//! Nothing here is sure. A line is left out when it says so itself (`password = "…"`), when what it holds has the form
//! of a known kind of key, or when a text in it looks like nothing but random characters.

/// Words in names that hold secrets.
const NAMES: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
    "access_key",
    "accesskey",
    "private_key",
    "credential",
    "auth_key",
];

/// How keys of well-known services begin, and how many characters of a key follow at least.
const KEYS: [(&str, usize); 12] = [
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("sk-", 20),
    ("eyJ", 20),
];

/// Texts this long of letters and digits without a word in them are keys or hashes.
const LONG_TEXT: usize = 32;

/// Whether a line may hold a secret.
pub(crate) fn looks_like_a_secret(line: &str) -> bool {
    line.contains("-----BEGIN ")
        || has_key(line)
        || has_login(line)
        || texts(line).any(is_random)
        || gives_a_secret_name_a_text(line)
}

/// `https://user:password@host`.
fn has_login(line: &str) -> bool {
    let mut rest = line;
    while let Some((_, after)) = rest.split_once("://") {
        let host = after.split(['/', ' ', '"', '\'', '`']).next().unwrap_or("");
        if let Some((login, _)) = host.split_once('@')
            && let Some((_, password)) = login.split_once(':')
            && !password.is_empty()
            && !password.starts_with('{')
        {
            return true;
        }
        rest = after;
    }
    false
}

fn has_key(line: &str) -> bool {
    KEYS.iter().any(|(start, least)| {
        let mut found = line.match_indices(start);
        found.any(|(at, _)| {
            let is_inside_a_word = line[..at].chars().next_back().is_some_and(is_of_key);
            let after = line[at + start.len()..].chars();
            !is_inside_a_word && after.take_while(|of| is_of_key(*of)).count() >= *least
        })
    })
}

fn is_of_key(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_-".contains(character)
}

/// What stands between quotation marks.
fn texts(line: &str) -> impl Iterator<Item = &str> {
    line.split(['"', '\'']).skip(1).step_by(2)
}

fn is_random(text: &str) -> bool {
    let is_plain = |of: char| of.is_ascii_alphanumeric() || "+/=_-".contains(of);
    let has = |kind: fn(&char) -> bool| text.chars().filter(kind).count();
    let digits = has(char::is_ascii_digit);
    text.len() >= LONG_TEXT
        && text.chars().all(is_plain)
        && digits * 8 >= text.len()
        && has(char::is_ascii_alphabetic) > 0
}

/// `DB_PASSWORD = "…"`, `token: '…'`, `login(password="…")`, `{"secret": "…"}`.
fn gives_a_secret_name_a_text(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    NAMES.iter().any(|name| {
        let mut found = lower.match_indices(name);
        found.any(|(at, _)| {
            let after = &line[at + name.len()..];
            let after = after
                .trim_start_matches(|of: char| of.is_ascii_alphanumeric() || "_\"']".contains(of));
            let after = after.trim_start();
            // An annotation may stand between the name and what it gets.
            let value = match after.strip_prefix(':') {
                Some(typed) if !typed.trim_start().starts_with(['"', '\'']) => {
                    typed.split_once('=').map_or("", |(_, value)| value)
                }
                Some(value) => value,
                None => match after.strip_prefix('=') {
                    Some(value) if !value.starts_with('=') => value,
                    _ => "",
                },
            };
            let value = value.trim_start().trim_start_matches(['b', 'r', 'f', 'u']);
            let quote = value.chars().next().filter(|of| "\"'".contains(*of));
            quote.is_some_and(|quote| {
                let inside = value[1..].split(quote).next().unwrap_or("");
                !inside.is_empty() && !inside.starts_with('{')
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_that_it_is_a_secret_or_has_the_form_of_one_is_left_out() {
        for line in [
            "PASSWORD = 'hunter2'",
            "    self.db_password: str = \"hunter2\"",
            "connect(host, password=\"hunter2\")",
            "settings['SECRET_KEY'] = 'abc'",
            "{\"auth_token\": \"abc\"}",
            "key = 'AKIAIOSFODNN7EXAMPLE'",
            "headers = {'X': 'ghp_0123456789abcdefghijABCDEFGHIJ'}",
            "url = 'postgres://ann:hunter2@db/app'",
            "-----BEGIN RSA PRIVATE KEY-----",
            "salt = 'd41d8cd98f00b204e9800998ecf8427e'",
            "# token: 'abc'",
        ] {
            assert!(looks_like_a_secret(line), "{line}");
        }
    }

    #[test]
    fn ordinary_lines_stay() {
        for line in [
            "",
            "password = os.environ['DB_PASSWORD_FILE']",
            "def check(password, token=None):",
            "if password == 'x' or not token:",
            "tokens = tokenize(text)",
            "url = f'https://{user}:{password}@{host}/'",
            "see = 'https://docs.python.org/3/library/secrets.html'",
            "name = 'a_long_name_without_any_digit_in_it_at_all'",
            "rows = [{'id': number} for number in range(100_000)]",
            "password = ''",
            "größe = 'ok' # token",
        ] {
            assert!(!looks_like_a_secret(line), "{line}");
        }
    }
}
