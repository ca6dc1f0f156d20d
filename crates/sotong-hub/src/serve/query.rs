//! The query of the plain end point: `?sub=chat:lobby&sub=news`.

/// The values of `sub`, decoded, in their order.
///
/// # Errors
/// What is wrong with the encoding, in words.
pub(super) fn subs(query: &str) -> Result<Vec<String>, &'static str> {
    query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("sub="))
        .map(|value| decode(value).ok_or("bad request: sub in the URL is not percent-encoded UTF-8"))
        .collect()
}

/// Percent-decoding as in forms, where `+` stands for a space: `URLSearchParams` writes it so.
fn decode(value: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::subs;

    #[test]
    fn values_of_sub_are_decoded_in_their_order() {
        let table: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("token=x", &[]),
            ("sub=chat:lobby", &["chat:lobby"]),
            ("sub=b&x=1&sub=a", &["b", "a"]),
            ("sub=chat%3A%EB%B0%A9&sub=a%26b%3Dc", &["chat:방", "a&b=c"]),
            ("sub=a+b%20c%2B", &["a b c+"]),
            ("sub=&subs=a", &[""]),
        ];
        for (query, expected) in table {
            assert_eq!(subs(query).unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn bad_encoding_is_said_to_be() {
        for query in ["sub=%", "sub=%4", "sub=%zz", "sub=%FF", "sub=a&sub=%E3%81"] {
            assert!(subs(query).is_err(), "{query}");
        }
    }
}
